"""Questions in, passages out: vector and full text searched together and fused."""

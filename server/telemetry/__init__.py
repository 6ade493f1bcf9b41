"""What the operator's Prometheus asks for."""

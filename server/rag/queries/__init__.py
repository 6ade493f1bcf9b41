"""Questions of the indexed documents."""

"""New accounts: at once, or once their address was proven by mail."""

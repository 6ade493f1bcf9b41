"""Is the process alive, and does everything it needs answer."""

"""The jobs that index documents and clear them out: how far they have come, and calling them off."""

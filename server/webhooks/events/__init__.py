"""What happened, type by type and one after another."""

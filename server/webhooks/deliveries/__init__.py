"""What became of telling, and telling again."""

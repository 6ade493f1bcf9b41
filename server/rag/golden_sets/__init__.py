"""Questions whose answers are known, by which a new index is measured before it answers."""

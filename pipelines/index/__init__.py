"""Chunks into the index, and what keeps the index small, fast and equal to SQL."""

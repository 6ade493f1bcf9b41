"""What keeps the index small, fast and equal to SQL, every night."""

"""The nightly care: an index small, fast and equal to SQL, and tables without what is over."""

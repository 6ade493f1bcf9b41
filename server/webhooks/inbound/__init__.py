"""What others tell us: a repository's host, of pushes."""

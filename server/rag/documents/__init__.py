"""Documents, their revisions, chunks and jobs."""

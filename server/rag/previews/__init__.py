"""What a document would become, before it is posted."""

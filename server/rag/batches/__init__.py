"""Many documents in one request: posted, deleted or indexed anew, with a result for each."""

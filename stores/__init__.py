"""The shared stores and nothing else: SQL is the truth, Redis wakes, LanceDB is rebuilt at will, blobs keep bytes."""

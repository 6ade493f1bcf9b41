"""Questions answered in words, each of them proved by a quote."""

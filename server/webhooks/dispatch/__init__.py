"""Events on their way: handed out, taken under a lease, sent, tried again."""

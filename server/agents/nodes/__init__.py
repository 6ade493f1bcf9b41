"""The closed registry of node types: what each takes, what it does, where it leads."""

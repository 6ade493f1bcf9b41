"""Executions at work: taken under a lease, written down as they go, handed back or taken over."""

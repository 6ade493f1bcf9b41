"""Tokens that travel by mail."""

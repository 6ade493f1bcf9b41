"""API keys: what a program shows to say for whom it speaks."""

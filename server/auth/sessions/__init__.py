"""Sessions: people register, log in with a password, and speak through tokens that end soon."""

"""A new password for whoever reads the mail of an account."""

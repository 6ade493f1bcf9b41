"""Second factors: a code from an authenticator, or one from the sheet for the day the authenticator is lost."""

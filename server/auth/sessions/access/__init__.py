"""Access tokens: signed statements that are believed only as long as their session lives."""

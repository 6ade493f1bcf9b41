"""Vocabulary every floor shares: settings, ids, clock, errors, events, log. Imports nothing of ours."""

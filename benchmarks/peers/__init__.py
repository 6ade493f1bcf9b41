"""Other systems at the same task. Their scripts run in an environment of their own and import nothing of ours."""

"""Executions as their tenant sees them: begun, followed, called off, gone on with, and forked."""

"""The workshop: Dagster only. A body opens resources, calls a recipe and reports metadata."""

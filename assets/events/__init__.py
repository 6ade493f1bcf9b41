"""What happens in Dagster, told as events."""

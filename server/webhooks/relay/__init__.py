"""From the outbox to deliveries."""

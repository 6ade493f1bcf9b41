"""Who is asking: tenants, keys, and the scopes a handler can demand."""

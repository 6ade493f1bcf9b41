"""Who is asking and what they may do: keys, sessions, second factors, tenants and their members."""

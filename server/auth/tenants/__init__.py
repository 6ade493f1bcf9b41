"""Tenants, who belongs to them, and what each role may do there."""

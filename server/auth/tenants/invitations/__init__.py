"""Invitations: nobody becomes a member of a tenant unasked."""

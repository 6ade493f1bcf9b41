"""How often who may ask, and how that is counted."""

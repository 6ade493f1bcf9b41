"""The database's history. Migrations go forward only: expand first, contract a release later."""

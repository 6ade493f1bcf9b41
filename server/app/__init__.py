"""The door: one Sanic application made of the registry's operations, and the processes that serve it."""

from server.app.application import TITLE, VERSION, create_app, operations
from server.app.processes import serve

__all__ = ["TITLE", "VERSION", "create_app", "operations", "serve"]

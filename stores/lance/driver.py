"""LanceDB's async table, as far as types are concerned: its stubs lag behind its library, so nothing is claimed."""

from typing import Any

from lancedb import query

LanceTable = Any


def words(text: str) -> Any:
    """Return a text query in which nothing is an operator."""
    match: Any = query.MatchQuery
    return match(text, "text")

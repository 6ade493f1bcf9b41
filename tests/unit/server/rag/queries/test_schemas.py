"""What a question may hold."""

from typing import Any

import pytest
from pydantic import ValidationError

from server.openapi.violations import violations_of
from server.rag.queries.schemas import QueryRequest


@pytest.mark.parametrize(
    ("extra", "pointer"),
    [
        ({"query": " "}, "/query"),
        ({"query": "x" * 10_001}, "/query"),
        ({"limit": 0}, "/limit"),
        ({"limit": 101}, "/limit"),
        ({"limit": "5"}, "/limit"),
        ({"mode": "psychic"}, "/mode"),
        ({"filters": []}, "/filters"),
        ({"explain": 1}, "/explain"),
        ({"fusion": "sum"}, "/fusion"),
        ({"alpha": 1.1}, "/alpha"),
        ({"alpha": "0.5"}, "/alpha"),
        ({"max_per_document": 0}, "/max_per_document"),
        ({"diversity": -0.1}, "/diversity"),
        ({"rerank": "yes"}, "/rerank"),
    ],
)
def test_a_question_has_bounds(extra: dict[str, Any], pointer: str) -> None:
    """The reference's limit of 100, and a query that says something."""
    with pytest.raises(ValidationError) as raised:
        QueryRequest.model_validate({"query": "Why?", **extra})
    pointers = {violation["pointer"] for violation in violations_of(raised.value)}
    assert pointers == {pointer}

"""An answer is written once."""

import json

from server.openapi.models import Answer


class Told(Answer):
    words: str
    count: int | None = None


def test_an_answer_is_written_once() -> None:
    """The same bytes, not equal ones, however often it is sent."""
    told = Told(words="hear", count=2)
    assert json.loads(told.written) == {"words": "hear", "count": 2}
    assert told.written is told.written


def test_a_changed_copy_is_written_anew() -> None:
    """The copy does not take over what was written of the original."""
    told = Told(words="hear")
    assert json.loads(told.written)["count"] is None
    changed = told.model_copy(update={"count": 3})
    assert json.loads(changed.written)["count"] == 3

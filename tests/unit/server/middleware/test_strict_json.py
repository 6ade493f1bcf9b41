"""JSON that two readers could understand differently is refused; all other JSON is read as anybody reads it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ValidationFailed
from server.middleware.strict_json import MAX_DEPTH, parse

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
values = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5)
)


@given(values, st.booleans())
def test_reads_what_json_writes(value: Any, escaped: bool) -> None:
    """Every value that JSON can carry comes back as it was, escaped or not."""
    assert parse(json.dumps(value, ensure_ascii=escaped).encode()) == value


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'{"a": 1, "b": {"c": 2, "c": 3}}', "'c' occurs twice"),
        (b'{"a": 1, "\\u0061": 2}', "'a' occurs twice"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"[1e999]", "too large"),
        (b"[" + b"9" * 5000 + b"]", "too large"),
        (b'["\\u0000"]', "NUL"),
        (b'["a\0b"]', "Invalid control character"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'["\\ud800"]', "surrogate"),
        (b'["\\udc00\\ud800"]', "surrogate"),
        (b'["\xed\xa0\x80"]', "not UTF-8"),
        (b"\xef\xbb\xbf{}", ""),
        (b'{"a": 1} {}', "Extra data"),
        (b"", "Expecting value"),
        ("[١]".encode(), "Expecting value"),
        (b"{'a': 1}", "property name"),
        (b"[1,]", ""),
    ],
)
def test_refuses_what_readers_disagree_on(raw: bytes, says: str) -> None:
    """Each ambiguity is one violation with a sentence about it, at the root."""
    with pytest.raises(ValidationFailed) as refused:
        parse(raw)
    [violation] = refused.value.details["violations"]
    assert violation["pointer"] == ""
    assert says in violation["message"]


def test_a_surrogate_pair_is_one_character() -> None:
    """Both halves together are how JSON escapes a character beyond the first plane."""
    assert parse(b'["\\ud83d\\ude00"]') == ["\N{GRINNING FACE}"]


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_ends_at_the_limit(opening: str, closing: str) -> None:
    """As deep as the limit is read; one deeper is refused, as is what would exhaust the reader's own stack."""

    def nested(depth: int) -> bytes:
        return (opening * depth + "1" + closing * depth).encode()

    assert parse(nested(MAX_DEPTH))
    for depth in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(ValidationFailed) as refused:
            parse(nested(depth))
        assert "nested deeper" in refused.value.details["violations"][0]["message"]


def test_many_shallow_values_are_not_deep() -> None:
    """Depth is what is limited, not the number of objects."""
    many = [{"a": [number]} for number in range(1000)]
    assert parse(json.dumps(many).encode()) == many

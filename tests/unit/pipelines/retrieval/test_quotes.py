"""A quote is in its passage, or it is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.retrieval.quotes import find_quote

PASSAGE = "The “north”  dome — the older\none — opens at ﬁve, not\u00ad withstanding rain."


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ('"north" dome - the older one', "“north”  dome — the older\none"),
        ("opens at five", "opens at ﬁve"),
        ("not withstanding rain.", "not\u00ad withstanding rain."),
        ("opens at six", None),
        ("OPENS AT FIVE", None),
        ("rain", None),
        ("", None),
        ("… — “”  ", None),
    ],
)
def test_only_how_it_is_set_may_differ(quote: str, found: str | None) -> None:
    """Letters and their case may not, and what could be from anywhere is no quote."""
    place = find_quote(quote, PASSAGE)
    assert (place and PASSAGE[slice(*place)]) == found


@given(st.text(min_size=1), st.integers(0, 50), st.integers(1, 50))
def test_every_part_of_a_passage_is_found(passage: str, start: int, length: int) -> None:
    """What was copied exactly is found, somewhere that says the same."""
    quote = passage[start : start + length]
    place = find_quote(quote, passage)
    if place is not None:
        assert find_quote(quote, passage[slice(*place)]) is not None
    else:
        assert sum(map(str.isalnum, quote)) < 8 or not quote[0].isalnum() or not quote[-1].isalnum()

"""Terms are injective: what differs in JSON differs as a term, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.lance.terms import element_term, presence_term, terms_of, value_term

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
keys = st.text(max_size=8)


def same(one: Any, other: Any) -> bool:
    """JSON's equality: true is not 1, and 1.0 is."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


@given(keys, scalars, keys, scalars)
def test_terms_are_equal_when_key_and_value_are(key: str, value: Any, other_key: str, other: Any) -> None:
    """Two terms of values are the same string exactly if key and value are the same."""
    assert (value_term(key, value) == value_term(other_key, other)) == (key == other_key and same(value, other))


@given(keys, scalars, keys, scalars)
def test_the_three_kinds_never_meet(key: str, value: Any, other_key: str, other: Any) -> None:
    """No key or value can be chosen so that a term of one kind reads like one of another."""
    terms = {presence_term(key), value_term(key, value), element_term(key, value)}

    assert terms.isdisjoint({value_term(other_key, other), element_term(other_key, other)} - terms)
    assert len(terms) == 3


@pytest.mark.parametrize(
    ("key", "evil"), [("a", 'b"=1'), ("a=1", ""), ('a"', "="), ("a[]", "x"), ("a", "[]"), ("", "=")]
)
def test_quotes_in_keys_do_not_break_out(key: str, evil: str) -> None:
    """A key that contains the marks of a term is still only a key."""
    assert value_term(key, evil) not in terms_of({evil: key, "a": [evil], key + evil: 1})


def test_a_list_gives_its_elements_and_itself() -> None:
    """Whole-list equality and containment are different terms."""
    assert terms_of({"tags": ["b", 1.0]}) == sorted(['"tags"', '"tags"=["b",1]', '"tags"[]="b"', '"tags"[]=1'])


def test_a_long_value_is_a_hash() -> None:
    """An essay in the metadata does not go into the index, and is found all the same."""
    essay = "long " * 1000

    assert len(value_term("k", essay)) < 100
    assert value_term("k", essay) != value_term("k", essay + "!")
    assert value_term("k", essay) != value_term("k", json.loads(json.dumps(essay))[:-1])


def test_objects_do_not_depend_on_their_order() -> None:
    """Lance's JSON sorts keys; so do terms."""
    assert value_term("k", {"a": 1, "b": 2.0}) == value_term("k", {"b": 2, "a": 1})

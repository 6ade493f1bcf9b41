"""The published schema of filters takes what the compiler takes, and nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from core.errors import ValidationFailed
from pipelines.retrieval.filters import compile_filters
from server.rag.queries.published import FILTER_SCHEMAS, FILTERS

VALIDATOR = Draft202012Validator({**FILTERS, "components": {"schemas": dict(FILTER_SCHEMAS)}})

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = scalars | st.lists(scalars, max_size=3) | st.integers(-(2**32), 2**32).map(float)
names = st.sampled_from(["$in", "$contains", "$gt", "$gte", "$lt", "$lte", "$exists", "$near", "a"])
operators = st.dictionaries(names, values, max_size=3)
keys = st.sampled_from(["a", "page", "_system.page", "_system.source", "_system.other", "_a", "$nor", ""]) | st.text()
conditions = st.dictionaries(keys, values | operators, max_size=3)
filters = st.recursive(
    conditions | values,
    lambda inner: st.dictionaries(
        st.sampled_from(["$and", "$or", "$not", "a"]), st.lists(inner, max_size=3) | inner, max_size=2
    ),
    max_leaves=6,
)


def accepts(asked: Any) -> bool:
    try:
        compile_filters(asked)
    except ValidationFailed:
        return False
    return True


@given(filters.filter(lambda asked: asked is not None))
def test_what_is_published_is_what_is_taken(asked: Any) -> None:
    """In both directions, however wrong what is asked."""
    assert VALIDATOR.is_valid(asked) == accepts(asked)


@pytest.mark.parametrize(
    "asked",
    [
        {"$or": [{"a": 1}] * 20},
        {"$or": [{"a": 1}] * 21},
        {"a": {"$in": [1] * 100}},
        {"a": {"$in": [1] * 101}},
        {"a": [1] * 100},
        {"a": [1] * 101},
        {str(number): 1 for number in range(50)},
        {str(number): 1 for number in range(51)},
        {"$not": {"$not": {"$not": {"$not": {"a": 1}}}}},
        {"$not": {"$not": {"$not": {"$not": {"$not": {"a": 1}}}}}},
        {"_system.page": 3.0},
        {"_system.page": {"$gt": 2**31}},
        {"_system.page": {"$lte": 2**31 - 1}},
        {"_system.page": {"$in": [1, None]}},
        {"_system.page": {"$contains": 1}},
    ],
)
def test_limits_are_published(asked: Any) -> None:
    """As far as a schema can tell them; the number of conditions in all is told in words."""
    assert VALIDATOR.is_valid(asked) == accepts(asked)

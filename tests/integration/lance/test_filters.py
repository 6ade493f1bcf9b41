"""Filters mean to a real table what they mean to Python: whatever the metadata, whatever the filter."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lancedb.index import LabelList

from pipelines.retrieval.filters import compile_filters
from stores.lance import ChunkTable, LanceStore
from tests.factories.chunks import EMBEDDER, TENANT, cut, put

# Few names, so that filters and metadata meet; some of them also name a system field, or try to break out.
KEYS = ["a", "b", "page", "source", "it's", '"b"', "a.b", "\\", "тема😀", "x' OR 1=1 --"]
INTERESTING = [
    *(0, 1, -1, 255, 256, -128, -129, 65_535, 65_536, 2**32, 2**53 + 1, 2**63 - 1, -(2**63)),
    *(0.0, -0.0, 0.1, 1.0, -1.5, 5e-324, -5e-324, 1e300, 2.0**53, 1.7976931348623157e308),
    *("", "a", "1", "b", "ab", "true", "null", "2026-01-01"),
    *("'; DROP TABLE chunks; --", "\\'", '"', "é", "\u0000", "😀", "\ufffd"),
    *(True, False, None),
]  # fmt: skip
scalars = st.sampled_from(INTERESTING) | st.text(max_size=4) | st.floats(allow_nan=False, allow_infinity=False)
scalars |= st.integers(-(2**63), 2**63 - 1) | st.text(min_size=300, max_size=310)
keys = st.sampled_from(KEYS)
lists = st.lists(scalars, max_size=3)
metadata = st.dictionaries(keys, scalars | lists | st.just({"b": 1}), max_size=5)
pages = st.none() | st.integers(1, 3)

bounds = scalars.filter(lambda value: value is not None and not isinstance(value, bool)) | st.integers()
operators = st.fixed_dictionaries(
    {},
    optional={
        "$in": lists,
        "$contains": scalars,
        **dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), bounds),
        "$exists": st.booleans(),
    },
).filter(bool)
system = st.one_of(
    st.tuples(
        st.just("_system.page"), pages | st.fixed_dictionaries({}, optional={"$in": st.lists(pages, max_size=3)})
    ),
    st.tuples(
        st.just("_system.page"), st.dictionaries(st.sampled_from(["$gt", "$lte"]), st.integers(0, 4), min_size=1)
    ),
    st.tuples(st.just("_system.source"), st.fixed_dictionaries({"$contains": st.sampled_from(["", "a", "'", "b.t"])})),
    st.tuples(st.just("_system.page"), st.fixed_dictionaries({"$exists": st.booleans()})),
).filter(lambda pair: pair[1] != {})
conditions = st.lists(st.tuples(keys, scalars | lists | operators) | system, max_size=3).map(dict)
filters = st.recursive(
    conditions,
    lambda inner: st.builds(
        lambda flat, name, parts: {**flat, name: parts[0] if name == "$not" else parts},
        conditions,
        st.sampled_from(["$and", "$or", "$not"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=4,
)


def holds(asked: Mapping[str, Any], own: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Say what `asked` means of a document, from the guide's words alone."""
    return all(entry_holds(key, value, own, ours) for key, value in asked.items())


def entry_holds(key: str, value: Any, own: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    if key == "$and":
        return all(holds(each, own, ours) for each in value)
    if key == "$or":
        return any(holds(each, own, ours) for each in value)
    if key == "$not":
        return not holds(value, own, ours)
    if key.startswith("_system."):
        key, own = key.removeprefix("_system."), {}
    known = {**{name: field for name, field in ours.items() if field is not None}, **own}
    if not isinstance(value, dict):
        return same(known.get(key), value)
    return all(operator_holds(name, operand, key, known) for name, operand in value.items())


def operator_holds(operator: str, operand: Any, key: str, known: Mapping[str, Any]) -> bool:
    there, value = key in known, known.get(key)
    if operator == "$exists":
        return bool(there == operand)
    if operator == "$in":
        return any(same(value, each) for each in operand)
    if operator == "$contains":
        if isinstance(value, list):
            return any(same(each, operand) for each in value)
        return isinstance(value, str) and isinstance(operand, str) and operand in value
    numbers = isinstance(value, int | float) and not isinstance(value, bool) and isinstance(operand, int | float)
    if not numbers and not (isinstance(value, str) and isinstance(operand, str)):
        return False
    above, equal = value > operand, value == operand
    return {"$gt": above, "$gte": above or equal, "$lt": not (above or equal), "$lte": not above}[operator]


def same(one: Any, other: Any) -> bool:
    """JSON's equality: true is not 1, and 1.0 is."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


Described = tuple[dict[str, Any], int | None, str]
documents = st.lists(
    st.tuples(metadata, pages, st.sampled_from(["a.txt", "it's", "b\\b.txt"])), min_size=1, max_size=25
)


async def filled(store: LanceStore, described: list[Described], *, indexed: bool) -> ChunkTable:
    table = await store.open_table(TENANT, f"s{uuid4().hex}", EMBEDDER.dimensions)
    works = [
        cut(str(number), ["needle"], metadata=own, pages=[page], source=source)
        for number, (own, page, source) in enumerate(described)
    ]
    known = len(works) // 2 if indexed else 0
    if known:  # as a table of 20,000 rows has one, which does not know the newest rows yet
        await put(table, *works[:known])
        await table._table.create_index("terms", config=LabelList())
    await put(table, *works[known:])
    return table


async def check(table: ChunkTable, described: list[Described], asked: Any) -> None:
    where = compile_filters(asked)
    near = await table.search_vector(EMBEDDER.embed(["needle"])[0], 100, where)
    matching = await table.search_text("needle", 100, where)
    ours = {"source_type": "text", "collection": "default"}
    expected = {
        str(number)
        for number, (own, page, source) in enumerate(described)
        if holds(asked, own, {**ours, "document_id": str(number), "page": page, "source": source})
    }
    assert set(near["document_id"].to_pylist()) == expected
    assert set(matching["document_id"].to_pylist()) == expected


unhurried = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.parametrize(("resident_bytes", "indexed"), [(0, False), (2**28, False), (0, True)])
@unhurried
@given(described=documents, several=st.lists(filters, min_size=1, max_size=12))
async def test_filters_mean_what_they_say(
    tmp_path: Path, resident_bytes: int, indexed: bool, described: list[Described], several: list[Any]
) -> None:
    """In both searches, with rows in memory or not, indexed or not, a filter finds exactly what Python finds."""
    store = LanceStore(tmp_path / "lance", resident_bytes=resident_bytes)
    table = await filled(store, described, indexed=indexed)
    for asked in several:
        await check(table, described, asked)


async def test_hostile_strings_are_strings(tmp_path: Path) -> None:
    """As keys, values, parts and bounds: each finds its own document and no other."""
    evil = [
        "'",
        "''",
        "\\",
        "\\'",
        '"',
        "'; DROP TABLE chunks; --",
        "' OR 1=1 --",
        "x' OR json_get(metadata, 'a",
        "\u0000",
        "%",
        "_",
    ]
    evil += [
        "😀" * 3,
        "\ud800",
        "a" * 20_000,
        "1); SELECT 1; --",
        "$",
        "$.a",
        "a.b[0]",
        "\n\r\t",
        "\u202e",
        "NULL",
        "{}",
    ]
    table = await filled(LanceStore(tmp_path / "lance"), [({}, None, "a.txt")], indexed=False)
    names = [f"k{each[:80]}" for each in evil]
    await put(table, *(cut(f"v{n}", ["needle"], metadata={"key": f"<{each}>"}) for n, each in enumerate(evil)))
    await put(table, *(cut(f"k{n}", ["needle"], metadata={name: n}) for n, name in enumerate(names)))

    async def found(asked: Any) -> set[str]:
        where = compile_filters(asked)
        return set((await table.search_vector(EMBEDDER.embed(["needle"])[0], 100, where))["document_id"].to_pylist())

    for number, (each, name) in enumerate(zip(evil, names, strict=True)):
        text = f"<{each}>"
        for asked in (text, {"$in": [text, 1]}, {"$gte": text, "$lte": text}):
            assert await found({"key": asked}) == {f"v{number}"}, asked
        assert f"v{number}" in await found({"key": {"$contains": each}})
        for asked in (number, {"$gte": number, "$lte": number}):
            assert await found({name: asked}) == {f"k{number}"}, asked


async def test_the_largest_filters_there_may_be_are_answered(tmp_path: Path) -> None:
    """As deep, as wide and as long as the limits allow: neither the parser's stack nor anybody's patience ends."""
    table = await filled(LanceStore(tmp_path / "lance"), [({"a": 1}, 1, "a.txt")], indexed=False)
    everything = {"$in": list(range(100)), "$contains": "x" * 300, "$gt": -1e300, "$lte": 10**30, "$exists": True}
    wide = {"$or": [{f"key {number}": everything for number in range(5)} for _ in range(20)]}
    for asked in (wide, {"$not": {"$not": {"$not": wide}}}, {str(number): "x" * 10_000 for number in range(50)}):
        await check(table, [({"a": 1}, 1, "a.txt")], asked)

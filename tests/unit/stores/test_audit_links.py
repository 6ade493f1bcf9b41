"""The hash of an audit entry covers every field of it, whatever stands in it."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stores.audit import link_hash
from stores.sql.models import AuditEventRow

TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "tenant_id": TEXT,
    "sequence": st.integers(1, 2**31 - 1),
    "id": TEXT,
    "occurred_at": st.integers(0, 2**32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    "actor": TEXT,
    "action": TEXT,
    "resource_type": TEXT,
    "resource_id": TEXT,
    "request_id": TEXT.filter(bool),
    "details": st.dictionaries(TEXT, JSON, max_size=3),
    "previous_hash": TEXT,
}
ENTRIES = st.fixed_dictionaries(FIELDS)


def hash_of(fields: dict[str, Any]) -> str:
    return link_hash(AuditEventRow(**fields))


def test_every_column_but_the_hash_itself_is_covered() -> None:
    """A column added to the table has to be added to the hash, and to this test."""
    assert {column.name for column in AuditEventRow.__table__.columns} == {*FIELDS, "hash"}


@given(ENTRIES, ENTRIES)
def test_entries_that_differ_have_different_hashes(one: dict[str, Any], other: dict[str, Any]) -> None:
    """In whatever fields, and however text is moved from one field into its neighbour."""
    assert hash_of(one) != hash_of(other) or one == other


@given(ENTRIES, st.sampled_from(sorted(FIELDS)), st.data())
def test_a_change_of_any_one_field_changes_the_hash(entry: dict[str, Any], name: str, data: st.DataObject) -> None:
    """One field, and every value it could be given instead."""
    changed = entry | {name: data.draw(FIELDS[name].filter(lambda value: value != entry[name]))}
    assert hash_of(changed) != hash_of(entry)


@given(ENTRIES, st.integers(0, 19))
def test_text_moved_into_the_neighbouring_field_changes_the_hash(entry: dict[str, Any], at: int) -> None:
    """Lengths stand in front, so the borders between fields are part of what is hashed."""
    both = entry["action"] + entry["resource_type"]
    at = min(at, len(both))
    moved = entry | {"action": both[:at], "resource_type": both[at:]}
    assert (hash_of(moved) == hash_of(entry)) is (moved == entry)

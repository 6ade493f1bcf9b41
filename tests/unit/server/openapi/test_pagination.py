"""Cursors: opaque, signed, and good for one list only."""

import hashlib
import hmac
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ValidationFailed
from server.openapi.pagination import Cursors, PageQuery, Place, Slice

START = datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=UTC)
IN_NOTES = {"tenant_id": "t1", "listing": "documents"}


class Filtered(PageQuery):
    status: str | None = None


def cursors(key: bytes = b"k") -> Cursors:
    return Cursors(partial(_macs, key))


def _macs(*keys: bytes) -> list[bytes]:
    *signing, message = keys
    return [hmac.digest(key, message, hashlib.sha256) for key in signing]


def turned(query: PageQuery, key: bytes = b"k") -> str:
    found = Slice.of([1, 2, 3], limit=2, total=3)
    return cursors(key).next(query, Place(after=None, skip=0), found, last=(START, "id2"), **IN_NOTES)


def refusal(query: PageQuery, **scope: str) -> list[dict[str, str]]:
    with pytest.raises(ValidationFailed) as refused:
        cursors().place(query, **{**IN_NOTES, **scope})
    violations: list[dict[str, str]] = refused.value.details["violations"]
    return violations


def test_cursor_remembers_the_last_row_and_how_many_came_before() -> None:
    """To the microsecond, or a row made in the same second would be lost."""
    place = cursors().place(Filtered(cursor=turned(Filtered())), **IN_NOTES)
    assert place == Place(after=(START, "id2"), skip=2)
    assert place.offset == 0


def test_pages_may_change_their_size_underway() -> None:
    """The limit is no filter."""
    cursor = turned(Filtered(limit=2))
    assert cursors().place(Filtered(limit=50, cursor=cursor), **IN_NOTES).skip == 2


@pytest.mark.parametrize("scope", [{"tenant_id": "t2"}, {"listing": "keys"}])
def test_cursor_of_another_tenant_or_list_is_refused(scope: dict[str, str]) -> None:
    """Whoever finds a cursor learns nothing by it."""
    [violation] = refusal(Filtered(cursor=turned(Filtered())), **scope)
    assert violation["pointer"] == "/cursor"


def test_cursor_of_other_filters_is_refused() -> None:
    """A walk that changes its filters half-way would silently leave out rows."""
    cursor = turned(Filtered(status="failed"))
    assert refusal(Filtered(cursor=cursor))[0]["pointer"] == "/cursor"
    assert refusal(Filtered(cursor=cursor, status="indexed"))[0]["pointer"] == "/cursor"


def test_cursor_of_another_installation_is_refused() -> None:
    """The signature is under this installation's root key."""
    assert refusal(Filtered(cursor=turned(Filtered(), key=b"other")))[0]["pointer"] == "/cursor"


def test_cursor_and_skip_together_are_refused() -> None:
    """Even skip=0: what was asked for is not what would be answered."""
    assert refusal(Filtered(cursor=turned(Filtered()), skip=0))[0]["pointer"] == "/skip"


@given(position=st.integers(0, 70), replacement=st.characters(codec="utf-8"))
def test_cursor_with_one_character_changed_is_refused(position: int, replacement: str) -> None:
    """At every place, by every character; never with anything but a ValidationFailed."""
    cursor = turned(Filtered())
    position %= len(cursor)
    changed = cursor[:position] + replacement + cursor[position + 1 :]
    if changed != cursor:
        assert refusal(Filtered(cursor=changed))[0]["pointer"] == "/cursor"


@given(st.text(max_size=80))
def test_any_text_for_a_cursor_is_refused(text: str) -> None:
    """Nothing that is not signed is even decoded."""
    assert refusal(Filtered(cursor=text))[0]["pointer"] == "/cursor"


def test_a_cursor_outlives_the_rotation_of_the_key_that_signed_it() -> None:
    """While the earlier key is here; the next page's cursor is signed by the new one."""
    cursor = turned(Filtered(), b"old")
    rotated = Cursors(partial(_macs, b"new", b"old"))
    assert rotated.place(Filtered(cursor=cursor), **IN_NOTES).after == (START, "id2")
    with pytest.raises(ValidationFailed):
        Cursors(partial(_macs, b"new")).place(Filtered(cursor=cursor), **IN_NOTES)

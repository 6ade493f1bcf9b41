"""Ids sort by time, and content ids depend on every part and its borders."""

from hypothesis import given
from hypothesis import strategies as st

from core.ids import content_id, is_uuid, new_event_id, new_id


def test_ids_made_in_order_sort_in_order() -> None:
    """UUIDv7 keeps the order of creation within one process."""
    made = [new_id() for _ in range(1000)]
    assert made == sorted(made)
    assert len(set(made)) == 1000


def test_event_id_is_spelled_as_the_reference_says() -> None:
    """`evt_` and a UUID."""
    assert new_event_id().startswith("evt_")
    assert is_uuid(new_event_id().removeprefix("evt_"))


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_content_ids_are_equal_only_for_equal_parts(left: list[str], right: list[str]) -> None:
    """However the text is split, different sequences get different ids (C05)."""
    assert (content_id(*left) == content_id(*right)) == (left == right)


@given(st.text(min_size=2), st.data())
def test_moving_a_border_changes_the_content_id(text: str, data: st.DataObject) -> None:
    """The same characters split at another place are another sequence (C05)."""
    first, second = sorted(data.draw(st.sets(st.integers(0, len(text)), min_size=2, max_size=2)))
    assert content_id(text[:first], text[first:]) != content_id(text[:second], text[second:])


def test_uuid_is_recognised_in_its_canonical_spelling_only() -> None:
    """Upper case, braces and lost dashes are other strings, so they are other ids."""
    canonical = new_id()
    assert is_uuid(canonical)
    for other in (canonical.upper(), canonical.replace("-", ""), f"{{{canonical}}}", "", "x"):
        assert not is_uuid(other)

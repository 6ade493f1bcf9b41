"""What was told is written in one envelope, and merged without losing a number or a letter."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from server.agents.executions.following.told import Told, coalesced

AT = datetime(2026, 11, 23, tzinfo=UTC)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("node.delta"), st.fixed_dictionaries({"node_id": st.sampled_from("ab"), "delta": st.text()})),
        st.tuples(st.just("node.delta"), st.just({"node_id": "a"})),
        st.tuples(st.just("node.completed"), st.just({"node_id": "a"})),
    )
)


def told(seq: int, type_: str, data: object) -> Told:
    return Told(execution_id="e", seq=seq, type=type_, data=json.dumps(data), at=AT)


@given(EVENTS)
def test_merging_keeps_every_number_and_every_letter(events: list[tuple[str, dict[str, str]]]) -> None:
    """The numbers that merged events stand for are all of them, once; each node's text is what it was."""
    before = [told(seq, *event) for seq, event in enumerate(events, 1)]
    after = coalesced(before)
    assert [number for one in after for number in range(one.first_seq, one.seq + 1)] == [one.seq for one in before]

    def texts(all_: list[Told]) -> dict[str, str]:
        found = {"a": "", "b": ""}
        for one in all_:
            found[json.loads(one.data)["node_id"]] += json.loads(one.data).get("delta", "")
        return found

    assert texts(after) == texts(before)


def test_an_envelope_is_one_line_whatever_it_holds() -> None:
    """Line breaks between the tokens of JSON would end an event of a stream."""
    written = Told(execution_id="e", seq=3, type="node.delta", data='{\r\n"delta":\n"a\\nb"}', at=AT).written()
    assert "\n" not in written
    assert "\r" not in written
    assert json.loads(written)["data"] == {"delta": "a\nb"}

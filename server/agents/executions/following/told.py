"""One thing that an execution told, in the envelope that WebSocket, SSE and REST have in common."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

DELTA = "node.delta"
ENVELOPE_VERSION = 1
# Deltas that stand for one another are merged up to this much text.
_LONGEST_DELTA_CHARACTERS = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """`data` is JSON as it was written down. One that stands for several has the number of the first in `from_seq`."""

    execution_id: str
    seq: int
    type: str
    data: str
    at: datetime
    from_seq: int | None = None

    @property
    def first_seq(self) -> int:
        return self.seq if self.from_seq is None else self.from_seq

    def written(self) -> str:
        """Return the envelope, on one line."""
        merged = "" if self.from_seq is None else f'"from_seq":{self.from_seq},'
        moment = self.at.isoformat().replace("+00:00", "Z")
        return (
            f'{{"v":{ENVELOPE_VERSION},"type":{json.dumps(self.type)},"execution_id":"{self.execution_id}",'
            f'"seq":{self.seq},{merged}"ts":"{moment}","data":{_one_line(self.data)}}}'
        )


def _one_line(data: str) -> str:
    # JSON has line breaks only between tokens: within text they are escaped.
    return data if "\n" not in data and "\r" not in data else data.replace("\r", " ").replace("\n", " ")


def coalesced(events: Iterable[Told]) -> list[Told]:
    """Return the same events with neighbouring deltas of one node as one: no number is missing, none comes twice."""
    found: list[Told] = []
    for event in events:
        merged = _merged(found[-1], event) if found and event.type == DELTA == found[-1].type else None
        if merged is None:
            found.append(event)
        else:
            found[-1] = merged
    return found


def _merged(before: Told, after: Told) -> Told | None:
    one, other = json.loads(before.data), json.loads(after.data)
    if _apart_from_text(one) != _apart_from_text(other):
        return None
    text = one["delta"] + other["delta"]
    if len(text) > _LONGEST_DELTA_CHARACTERS:
        return None
    return replace(after, from_seq=before.first_seq, data=json.dumps({**other, "delta": text}))


def _apart_from_text(data: Any) -> Any:
    """Return what has to be the same of two deltas that become one; never equal where there is no text."""
    if not isinstance(data, dict) or not isinstance(data.get("delta"), str):
        return object()
    return {name: value for name, value in data.items() if name != "delta"}

"""What clients say over the socket, and what is answered. Events of executions are as `following.told` writes them."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from server.agents.executions.schemas import Cost
from server.openapi.models import LARGEST_NUMBER, JsonBody

_Name = Annotated[str, Field(max_length=255)]
_Number = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]


class _Message(JsonBody):
    """`id` comes back in the answer to this message."""

    id: _Name | None = None


class Authenticate(_Message):
    """The first message of a connection that brought no credential otherwise."""

    type: Literal["authenticate"]
    token: str = Field(max_length=8192, description="An API key or an access token.")
    tenant_id: _Name | None = Field(None, description="As the header X-Tenant-ID.")


class Execute(_Message):
    """Execute a flow; all it tells follows."""

    type: Literal["execute"]
    flow_id: _Name
    input: Any = Field(default_factory=dict)
    context: dict[str, Any] = Field(default_factory=dict)
    version: int | None = Field(None, ge=1, le=2**31 - 1)
    max_cost: Cost | None = None
    deadline_seconds: float | None = Field(None, gt=0, le=90 * 24 * 3600)
    on_budget: Literal["pause", "fail"] = "pause"


class Subscribe(_Message):
    """Follow an execution, from its first event on unless `after_seq` says otherwise."""

    type: Literal["subscribe"]
    execution_id: _Name
    after_seq: _Number = 0


class Resume(_Message):
    """Follow an execution again, behind the last number that was heard, from whichever server process."""

    type: Literal["resume"]
    execution_id: _Name
    after_seq: _Number


class Cancel(_Message):
    """Call an execution off."""

    type: Literal["cancel"]
    execution_id: _Name


class Respond(_Message):
    """Answer a node that waits for a person."""

    type: Literal["respond"]
    execution_id: _Name
    path: Annotated[str, Field(max_length=4096)] | None = None
    answer: Any


class Ping(_Message):
    """Ask for a `pong`."""

    type: Literal["ping"]


Message = Authenticate | Execute | Subscribe | Resume | Cancel | Respond | Ping
MESSAGES: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])

AnswerType = Literal["ready", "accepted", "subscribed", "pong", "error"]


def answer(
    type_: AnswerType, *, now: datetime, data: Any, message_id: str | None = None, execution_id: str | None = None
) -> str:
    """Return an answer in the envelope of events. It has no number: only events count."""
    told = {
        "v": 1,
        "type": type_,
        "execution_id": execution_id,
        "seq": None,
        "ts": now.isoformat().replace("+00:00", "Z"),
        "data": data,
    }
    return json.dumps(told if message_id is None else told | {"id": message_id}, separators=(",", ":"))

"""What clients see of what executions tell."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from server.openapi.models import LARGEST_NUMBER, Answer, QueryString, WholeNumber

EventName = Literal[
    "execution.started",
    "node.started",
    "node.delta",
    "node.completed",
    "node.failed",
    "execution.waiting",
    "execution.completed",
    "execution.failed",
    "execution.cancelled",
]


class ExecutionEvent(Answer):
    """One thing that an execution told, the same over WebSocket, server-sent events and here."""

    v: Literal[1] = 1
    type: EventName
    execution_id: str
    seq: int = Field(description="Counts the execution's events from 1, without gaps.")
    from_seq: int | None = Field(
        None,
        description="Of deltas that are told as one: the number of the first; `seq` is the last. Streams merge them"
        " for clients that are slow, lists do not.",
    )
    ts: datetime
    data: Any


class ExecutionEventPage(Answer):
    """A piece of what an execution told."""

    items: list[ExecutionEvent]
    limit: int
    has_more: bool = Field(description="Whether there are more already.")
    next_after: int = Field(description="`after` of the page that follows, also when there is none yet.")
    status: str = Field(description="How the execution stood when this was read.")
    last_seq: int = Field(description="The number of its last event.")


class FollowQuery(QueryString):
    after: Annotated[WholeNumber, Field(ge=0, le=LARGEST_NUMBER)] = Field(
        0, description="Only events with a greater number. `Last-Event-ID` says the same, and is heard first."
    )
    limit: Annotated[WholeNumber, Field(ge=1, le=500)] = Field(100, description="Of a page of JSON.")

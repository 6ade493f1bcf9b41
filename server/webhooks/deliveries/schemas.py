"""Deliveries as they are read, and what is asked to be told again."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from server.openapi.instant import Instant
from server.openapi.models import Answer, JsonBody
from server.openapi.pagination import Page, PageQuery
from stores.sql.models import DeliveryState, WebhookAttemptRow, WebhookDeliveryRow

FASTEST_PER_SECOND = 100
# How much one request repeats; what is left is asked for by another.
MOST_AT_ONCE = 5_000
_ONE = ("delivery_id", "event_id")
_RANGE = ("after", "before", "since", "until", "failed_only")

State = Literal["pending", "succeeded", "failed"]
Number = Annotated[int, Field(ge=0, le=2**53)]
ThatId = Annotated[str, Field(pattern="^[a-z0-9_-]{1,50}$")]


class DeliveriesQuery(PageQuery):
    state: State | None = None
    event_type: str | None = Field(None, pattern="^[a-z_.]{1,100}$")


class DeliveryView(Answer):
    delivery_id: str
    endpoint_id: str
    event_id: str
    event_type: str
    copy_number: int = Field(description="0, or which replay of the event it is.")
    state: State
    attempts_made: int
    next_attempt_at: datetime | None = Field(description="While it is pending: it may be tried from then on.")
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: WebhookDeliveryRow, **more: Any) -> Self:
        return cls(
            delivery_id=row.id,
            endpoint_id=row.endpoint_id,
            event_id=row.event_id,
            event_type=row.event_type,
            copy_number=row.copy,
            state=row.state,
            attempts_made=row.attempts,
            next_attempt_at=row.available_at if row.state == DeliveryState.PENDING else None,
            created_at=row.created_at,
            finished_at=row.finished_at,
            **more,
        )


class AttemptView(Answer):
    number: int
    started_at: datetime
    milliseconds: int = Field(description="From its beginning to the end of what was read of the answer.")
    status: int | None = Field(description="Of the answer; null if there was none.")
    response: str | None = Field(description="The first 20 kB of the answer.")
    error: str | None = Field(description="Why there was no answer.")

    @classmethod
    def of(cls, row: WebhookAttemptRow) -> Self:
        return cls(
            number=row.number,
            started_at=row.started_at,
            milliseconds=row.milliseconds,
            status=row.status_code,
            response=row.response_body,
            error=row.error,
        )


class DeliveryDetail(DeliveryView):
    payload: dict[str, Any] = Field(description="What is sent.")
    attempts: list[AttemptView]

    @classmethod
    def with_attempts(cls, row: WebhookDeliveryRow, attempts: Sequence[WebhookAttemptRow]) -> Self:
        return cls.of(row, payload=json.loads(row.body), attempts=[AttemptView.of(each) for each in attempts])


class DeliveryPage(Page[DeliveryView]):
    pass


def _one_or_range(schema: dict[str, Any]) -> None:
    some = [{"required": [name]} for name in _RANGE]
    schema["oneOf"] = [*({"required": [name]} for name in _ONE), {"anyOf": some}]


class ReplayBody(JsonBody):
    """One delivery, one event, or a range of events; all that is said of a range narrows it."""

    model_config = ConfigDict(json_schema_extra=_one_or_range)

    delivery_id: ThatId = ""
    event_id: ThatId = ""
    after: Number = Field(0, description="Events with greater numbers.")
    before: Number = Field(0, description="Events with smaller numbers.")
    since: Instant | None = Field(None, description="Events of this moment and later.")
    until: Instant | None = Field(None, description="Events before this moment.")
    failed_only: bool = Field(False, description="Only events that did not arrive and are not on their way.")
    per_second: Annotated[int, Field(ge=1, le=FASTEST_PER_SECOND, description="No more fall due in a second.")] = 20

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        given = self.model_fields_set
        ways = [name for name in _ONE if name in given] + (["range"] if given & set(_RANGE) else [])
        if len(ways) != 1:
            raise ValueError("Name a delivery_id, an event_id, or a range: after, before, since, until, failed_only")
        return self

    @property
    def highest(self) -> int | None:
        """The number that events of the range are below."""
        return self.before if "before" in self.model_fields_set else None


class ReplayStarted(Answer):
    count: int = Field(description="How many deliveries will be made.")
    last_due_at: datetime | None = Field(description="When the last of them falls due.")
    next_after: int | None = Field(
        description=f"A request repeats {MOST_AT_ONCE} events; null, or the `after` that goes on with the range."
    )

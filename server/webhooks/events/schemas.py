"""Events and their types as they are read."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from core.events import EventType
from server.openapi.models import LARGEST_NUMBER, Answer, QueryString, WholeNumber

_TYPES = frozenset(EventType)


def _types(value: str) -> str:
    if not all(each in _TYPES for each in value.split(",")):
        raise ValueError("Name types of GET /api/v1/webhooks/event-types, with commas between them")
    return value


_ANY = "|".join(event_type.value.replace(".", r"\.") for event_type in EventType)


class EventsQuery(QueryString):
    after: Annotated[WholeNumber, Field(ge=0, le=LARGEST_NUMBER)] = Field(
        0, description="`next_after` of the page before; 0 is the beginning."
    )
    limit: Annotated[WholeNumber, Field(ge=1, le=1000)] = 100
    types: Annotated[str, AfterValidator(_types)] | None = Field(
        None,
        max_length=1_000,
        json_schema_extra={"pattern": f"^(?:{_ANY})(?:,(?:{_ANY}))*$"},
        description="Only these types, with commas between them.",
    )


class EventView(Answer):
    """What webhooks are sent, and the event's number."""

    id: str
    type: str
    created: int = Field(description="Seconds since 1970.")
    data: dict[str, Any]
    number: int = Field(description="The tenant's events are numbered from 1 on, without gaps.")


class EventList(Answer):
    items: list[EventView]
    next_after: int = Field(description="`after` of the page that follows, also when there is none yet.")
    has_more: bool


class EventTypeView(Answer):
    type: str
    description: str
    json_schema: dict[str, Any] = Field(description="Of `data`. Bear with fields that are added.")
    example: dict[str, Any] = Field(description="All that is sent.")


class EventTypeList(Answer):
    items: list[EventTypeView]

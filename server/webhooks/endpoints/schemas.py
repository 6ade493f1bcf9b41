"""Endpoints as they are written and read. A secret stands in two answers only: made, and rotated."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field, WithJsonSchema

from core.events import EventType
from server.openapi.models import Answer, JsonBody
from server.openapi.pagination import Page, PageQuery
from server.webhooks.endpoints.headers import Headers
from server.webhooks.message import EVERY_TYPE
from stores.sql.models import WebhookEndpointRow

TYPES = tuple(event_type.value for event_type in EventType)
_LONGEST_URL = 2_000
# How it is written. Whether it leads anywhere we connect to is asked besides.
_URL = r"https?://[!\"$-.0->A-\[\]-~]+(?:[/?][!\"$-~]*)?"


def _address(value: str) -> str:
    if not re.fullmatch(_URL, value):
        raise ValueError("Write the URL as https://host/path, in ASCII, without user, password and fragment")
    return value


def _known(value: str) -> str:
    if value not in TYPES:
        raise ValueError("There is no such type of event: GET /api/v1/webhooks/event-types lists them")
    return value


def _known_or_every(value: str) -> str:
    return value if value == EVERY_TYPE else _known(value)


def _distinct(values: list[str]) -> list[str]:
    return [EVERY_TYPE] if EVERY_TYPE in values else sorted(set(values))


Url = Annotated[
    str,
    AfterValidator(_address),
    Field(
        max_length=_LONGEST_URL,
        json_schema_extra={"pattern": f"^{_URL}$"},
        description="https, to a public address; http to addresses that the operator allows.",
    ),
]
KnownType = Annotated[str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(TYPES)})]
WantedTypes = Annotated[
    list[
        Annotated[
            str, AfterValidator(_known_or_every), WithJsonSchema({"type": "string", "enum": [EVERY_TYPE, *TYPES]})
        ]
    ],
    AfterValidator(_distinct),
    Field(min_length=1, max_length=100, description="Which events it is told of; `*` is all, also those yet to come."),
]
Description = Annotated[str, Field(max_length=500)]
Ordered = Annotated[
    bool, Field(description="Events of one subject one by one, in their order; a failure makes the next ones wait.")
]


class EndpointBody(JsonBody):
    url: Url
    event_types: WantedTypes
    description: Description = ""
    headers: Headers = Field(default={}, description="Sent along each time. Their values are never shown again.")
    ordered: Ordered = False


class EndpointChange(JsonBody):
    """What is left out stays as it is."""

    url: Url = ""
    event_types: WantedTypes = Field([])
    description: Description = ""
    headers: Headers = Field(default={}, description="All of them; those left out are not sent any more.")
    ordered: Ordered = False


class TestBody(JsonBody):
    __test__ = False  # to pytest

    event_type: KnownType


class EndpointsQuery(PageQuery):
    pass


class EndpointView(Answer):
    endpoint_id: str
    url: str
    description: str
    event_types: list[str]
    header_names: list[str]
    ordered: bool
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: str | None = Field(description="manual, gone (it answered 410) or failing (for five days).")
    failing_since: datetime | None = Field(description="Since when no delivery has succeeded.")
    rests_until: datetime | None = Field(description="It failed again and again; nothing is sent before this.")
    previous_secret_signs_until: datetime | None = Field(description="So long the secret before this one signs too.")
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(
        cls, row: WebhookEndpointRow, header_names: Sequence[str], previous_until: datetime | None, **more: str
    ) -> Self:
        return cls(
            endpoint_id=row.id,
            url=row.url,
            description=row.description,
            event_types=row.event_types,
            header_names=sorted(header_names),
            ordered=row.ordered,
            enabled=row.disabled_at is None,
            disabled_at=row.disabled_at,
            disabled_reason=row.disabled_reason,
            failing_since=row.failing_since,
            rests_until=row.rests_until,
            previous_secret_signs_until=previous_until,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
            **more,
        )


class EndpointMade(EndpointView):
    secret: str = Field(description="What deliveries are signed with, shown this once.", examples=["whsec_…"])


class EndpointPage(Page[EndpointView]):
    pass


class EndpointDeleted(Answer):
    endpoint_id: str


class TestSent(Answer):
    __test__ = False  # to pytest

    delivery_id: str
    event_id: str = Field(description="Begins with evt_test_: no event, and not in GET /api/v1/events.")
    event_type: str

"""Sources and crawls as they are written and read."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from server.openapi.models import Answer, JsonBody, QueryString
from server.rag.documents.addresses import ADDRESSES
from server.rag.documents.schemas import DEFAULT_COLLECTION, Collection, Metadata, SkipQuery, Strategy
from stores.sql.models import CrawlRow, SourceRow

MOST_SOURCES = 100
_LONGEST_LOCATION = 1_000
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}
_FORMS = {
    "url": ADDRESSES["url"].pattern,
    "sitemap": ADDRESSES["url"].pattern,
    "github": ADDRESSES["github"].pattern,
    "folder": r"^[a-z][a-z0-9+]{0,20}://[ -~]+$",
}

SourceKind = Literal["url", "sitemap", "github", "folder"]
SourceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$")]
Cadence = Annotated[
    str,
    StringConstraints(pattern=r"^[1-9][0-9]{0,3}[mhd]$"),
    Field(description="How often it is crawled: minutes, hours or days, as 30m, 6h, 1d. Null: on request only."),
]
DeleteFraction = Annotated[
    float,
    Field(ge=0, le=1, description="If a crawl would delete a larger part of the documents, it deletes none."),
]


WebhookSecret = Annotated[
    str,
    StringConstraints(pattern=r"^[!-~]{16,200}$"),
    Field(description="Of a github source: what GitHub signs its pushes with. Null: pushes are not heard."),
]


def _by_type(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [
        {
            "properties": {
                "type": {"const": kind},
                "location": {"pattern": pattern, "maxLength": _LONGEST_LOCATION},
            },
            "required": ["type", "location"],
        }
        for kind, pattern in _FORMS.items()
    ]


class SourceBody(JsonBody):
    model_config = ConfigDict(json_schema_extra=_by_type)

    name: SourceName
    type: SourceKind
    location: str = Field(
        max_length=_LONGEST_LOCATION, description="A URL, owner/name@ref:folder, or the URL of a folder."
    )
    collection: Collection = DEFAULT_COLLECTION
    metadata: Metadata = Field(default={}, description="Given to each document of the source.")
    chunking_strategy: Strategy = "recursive"
    cadence: Cadence | None = None
    max_delete_fraction: DeleteFraction = 0.2

    @field_validator("location")
    @classmethod
    def _is_of_its_type(cls, value: str, info: ValidationInfo) -> str:
        kind = info.data.get("type")
        # Python's $ also matches before a line end; JSON Schema's does not.
        if kind is not None and re.fullmatch(_FORMS[kind].removesuffix("$"), value) is None:
            raise ValueError("Write a URL as https://host/path, a repository as owner/name, a folder as file:///path")
        return value


class SourceChange(JsonBody):
    """What is to be different; what is left out stays as it is. Type, location and collection always do."""

    metadata: Metadata | None = Field(None, description="In place of what there is; null leaves it as it is.")
    chunking_strategy: Strategy | None = Field(None, description="Null leaves it as it is.")
    cadence: Cadence | None = None
    max_delete_fraction: DeleteFraction | None = Field(None, description="Null leaves it as it is.")
    paused: bool | None = Field(None, description="A paused source is crawled on request only.")
    webhook_secret: WebhookSecret | None = None


class SourceRemoval(QueryString):
    documents: Literal["keep", "delete"] = Field("keep", description="What becomes of the source's documents.")


class CrawlsQuery(SkipQuery):
    pass


class CrawlCounts(Answer):
    listed: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: int = 0


class CrawlFault(Answer):
    code: str
    message: str


class CrawlFailure(Answer):
    document: str
    code: str
    message: str


class CrawlView(Answer):
    crawl_id: str
    source_id: str
    state: Literal["queued", "running", "succeeded", "braked", "failed"]
    counts: CrawlCounts
    error: CrawlFault | None
    failures: list[CrawlFailure] = Field(description="The first documents that were listed and not to be had.")
    due_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: CrawlRow) -> Self:
        fault = CrawlFault(code=row.error_code, message=row.error_message or "") if row.error_code else None
        return cls(
            crawl_id=row.id,
            source_id=row.source_id,
            state=row.state,
            counts=CrawlCounts(**row.counts),
            error=fault,
            failures=[CrawlFailure(**failure) for failure in row.failures or ()],
            due_at=row.due_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )


class CrawlList(Answer):
    items: list[CrawlView]


class SourceView(Answer):
    source_id: str
    name: str
    type: SourceKind
    location: str
    collection: str
    metadata: dict[str, Any]
    chunking_strategy: str
    cadence: str | None
    max_delete_fraction: float
    paused: bool
    next_crawl_at: datetime | None
    hears_pushes: bool = Field(description="Whether there is a secret that GitHub may sign pushes with.")
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: SourceRow) -> Self:
        return cls(
            source_id=row.id,
            name=row.name,
            type=row.type,
            location=row.location,
            collection=row.collection,
            metadata=row.user_metadata,
            chunking_strategy=row.chunking["strategy"],
            cadence=_written(row.cadence_seconds),
            max_delete_fraction=row.max_delete_fraction,
            paused=row.paused_at is not None,
            next_crawl_at=row.next_crawl_at if row.paused_at is None else None,
            hears_pushes=row.sealed_webhook_secret is not None,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class SourceMade(SourceView):
    webhook_secret: str | None = Field(
        None, description="Of a github source: what GitHub is to sign its pushes with. It is not shown again."
    )


class SourceList(Answer):
    items: list[SourceView]


class SourceDeleted(Answer):
    source_id: str
    documents_deleted: int


def seconds_of(cadence: str | None) -> int | None:
    """Return a cadence in seconds."""
    return None if cadence is None else int(cadence[:-1]) * _SECONDS[cadence[-1]]


def _written(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    unit = next(unit for unit in ("d", "h", "m") if seconds % _SECONDS[unit] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"

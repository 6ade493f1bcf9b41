"""What many documents are named by, and what became of each of them."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from core.errors import CodexError
from server.openapi.models import Answer, JsonBody, LinesBody, RequestBody, Violation
from server.rag.documents.schemas import Collection

MOST_AT_ONCE = 1_000

_ITEMS = Field(
    min_length=1,
    max_length=MOST_AT_ONCE,
    description="Each as the JSON body of `POST /rag/ingest`. One with a fault is refused by itself.",
)


class IngestBatch(JsonBody):
    """Up to 1,000 documents in one JSON object."""

    items: list[dict[str, Any]] = _ITEMS


class IngestLines(LinesBody):
    """Up to 1,000 documents, one JSON object a line."""

    items: list[Any] = _ITEMS


class ItemFailure(Answer):
    code: str
    message: str
    violations: list[Violation] = Field(description="The item's faults; each pointer begins at the item.")

    @classmethod
    def of(cls, failure: CodexError) -> Self:
        found = failure.details.get("violations", [])
        return cls(
            code=failure.code, message=failure.message, violations=[Violation.model_validate(each) for each in found]
        )


class BatchItem(Answer):
    """What became of the item at `index`: accepted with its ids, or refused with its error."""

    index: int
    status: Literal["queued", "refused"]
    document_id: str | None = None
    revision: int | None = None
    job_id: str | None = None
    error: ItemFailure | None = None


class IngestBatchAccepted(Answer):
    """One result an item, in their order. What was accepted is stored; what was refused left nothing behind."""

    items: list[BatchItem]
    accepted: int
    refused: int


def _at_least_one(schema: dict[str, Any]) -> None:
    """Publish that a filter says something: null is as good as nothing."""
    schema["minProperties"] = 1
    for field in schema["properties"].values():
        [given] = [each for each in field.pop("anyOf") if each != {"type": "null"}]
        field.pop("default", None)
        field |= given


class DocumentFilter(RequestBody):
    """Documents that are all of this; at least one of them is given."""

    model_config = ConfigDict(json_schema_extra=_at_least_one)
    media_type: ClassVar[str] = JsonBody.media_type

    collection: Collection | None = None
    status: Literal["queued", "processing", "indexed", "failed"] | None = None
    source_type: Annotated[str, StringConstraints(min_length=1, max_length=20)] | None = None
    search: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None, description="Literal text in source or external_id."
    )


def _one_of_two(schema: dict[str, Any]) -> None:
    """Publish that documents are named by ids or by a filter."""
    schema["oneOf"] = [
        {"required": ["document_ids"], "properties": {"filter": False, "after": False}},
        {"required": ["filter"], "properties": {"document_ids": False}},
    ]
    for name in ("document_ids", "filter", "after"):
        field = schema["properties"][name]
        [given] = [each for each in field.pop("anyOf") if each != {"type": "null"}]
        field.pop("default", None)
        field.update(given)


class Selection(JsonBody):
    """Which documents: by id, or all that a filter finds, at most `limit` of them a call."""

    model_config = ConfigDict(json_schema_extra=_one_of_two)

    document_ids: Annotated[list[str], Field(min_length=1, max_length=MOST_AT_ONCE)] | None = None
    filter: DocumentFilter | None = Field(None, validate_default=True)
    limit: int = Field(MOST_AT_ONCE, ge=1, le=MOST_AT_ONCE, description="Most documents one call touches.")
    after: Annotated[str, StringConstraints(min_length=1, max_length=36)] | None = Field(
        None, description="`next_after` of the call before, to go on with the same filter."
    )
    dry_run: bool = Field(False, description="Say which documents it would be, and do nothing.")

    @field_validator("filter")
    @classmethod
    def _names_something(cls, value: DocumentFilter | None, info: ValidationInfo) -> DocumentFilter | None:
        by_id = info.data.get("document_ids", ()) is not None
        if value is None and not by_id:
            raise ValueError("Name documents by document_ids or by a filter")
        if value is not None and by_id:
            raise ValueError("Name documents by document_ids or by a filter, not by both")
        if value is not None and not value.model_dump(exclude_none=True):
            raise ValueError("An empty filter would mean every document: name at least a collection or a status")
        return value


class Touched(Answer):
    """What became of one document. `job_id` is the work it causes; `unchanged` says by its message why not."""

    document_id: str
    status: Literal["deleted", "queued", "unchanged", "not_found", "matched"]
    job_id: str | None = None
    message: str | None = None


class SelectionDone(Answer):
    """One result a document. With a filter, `matched` counts all it finds and `next_after` goes on behind these."""

    items: list[Touched]
    matched: int
    changed: int
    dry_run: bool
    next_after: str | None

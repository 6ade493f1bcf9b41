"""Golden sets as they are written and read."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from server.openapi.models import Answer, JsonBody
from server.rag.documents.schemas import ExternalId, Text
from stores.sql.models import GoldenSetRow

MOST_SETS = 20
MOST_QUESTIONS = 500

SetName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$")]
Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]


def _one_name(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [
        {
            "properties": {"document_id": {"type": "string"}, "external_id": {"type": "null"}},
            "required": ["document_id"],
        },
        {
            "properties": {"external_id": {"type": "string"}, "document_id": {"type": "null"}},
            "required": ["external_id"],
        },
    ]


class Relevant(JsonBody):
    """A document that answers the question, by our name for it or by yours."""

    model_config = ConfigDict(json_schema_extra=_one_name)

    document_id: Uuid | None = None
    external_id: ExternalId | None = Field(None, validate_default=True)
    grade: int = Field(1, ge=0, le=100, description="How good an answer it is; 0 is none.")

    @field_validator("external_id")
    @classmethod
    def _is_named_once(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "document_id" in info.data and (value is None) == (info.data["document_id"] is None):
            raise ValueError("Name the document by document_id or by external_id")
        return value


class Question(JsonBody):
    query: Annotated[Text, StringConstraints(max_length=10_000)]
    relevant: list[Relevant] = Field(min_length=1, max_length=100)


class GoldenSetBody(JsonBody):
    name: SetName
    questions: list[Question] = Field(min_length=1, max_length=MOST_QUESTIONS)


class RelevantView(Answer):
    document_id: str | None = None
    external_id: str | None = None
    grade: int


class QuestionView(Answer):
    query: str
    relevant: list[RelevantView]


class GoldenSetSummary(Answer):
    golden_set_id: str
    name: str
    question_count: int
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: GoldenSetRow) -> Self:
        return cls(**_common(row))


class GoldenSetView(GoldenSetSummary):
    questions: list[QuestionView]

    @classmethod
    def of(cls, row: GoldenSetRow) -> Self:
        return cls(**_common(row), questions=[QuestionView(**question) for question in row.questions])


class GoldenSetList(Answer):
    items: list[GoldenSetSummary]


class GoldenSetDeleted(Answer):
    golden_set_id: str


def _common(row: GoldenSetRow) -> dict[str, Any]:
    return {
        "golden_set_id": row.id,
        "name": row.name,
        "question_count": len(row.questions),
        "version": row.version,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }

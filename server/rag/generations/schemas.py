"""What the room reads and answers."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from pipelines.chunking.limits import MIN_CHUNK_TOKENS
from pipelines.document import ChunkingStrategy
from server.openapi.models import Answer, JsonBody
from server.rag.documents.schemas import MAX_CHUNK_TOKENS
from stores.generation_work import GenerationProgress
from stores.sql.models import GenerationRow, GenerationState

# As many as may have a table at once: each is another copy of the index.
MOST_GENERATIONS = 4

EmbedderName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class Chunking(JsonBody):
    """How every document is cut, whatever it was posted with."""

    strategy: str = Field(json_schema_extra={"enum": [strategy.value for strategy in ChunkingStrategy]})
    chunk_tokens: int = Field(ge=MIN_CHUNK_TOKENS, le=MAX_CHUNK_TOKENS)
    overlap_tokens: int = Field(0, ge=0, lt=MAX_CHUNK_TOKENS, description="Tokens that neighbours share.")

    @field_validator("strategy")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in list(ChunkingStrategy):
            raise ValueError(f"Input should be one of {', '.join(ChunkingStrategy)}")
        return value

    @field_validator("overlap_tokens")
    @classmethod
    def _overlap_leaves_room(cls, value: int, info: ValidationInfo) -> int:
        if value >= info.data.get("chunk_tokens", MAX_CHUNK_TOKENS):
            raise ValueError("The overlap should be smaller than the chunk")
        return value


class GenerationRequest(JsonBody):
    """What is to be different; what is left out stays as it is."""

    embedder: EmbedderName | None = Field(None, description="One that this installation has; it lists them nowhere.")
    chunking: Chunking | None = Field(None, description="Without it, each document's own.")


def _reasoned(schema: dict[str, Any]) -> None:
    given = {"type": "string", "minLength": 1, "maxLength": 500}
    schema["anyOf"] = [
        {"properties": {"force": {"const": False}}},
        {"properties": {"reason": given}, "required": ["reason"]},
    ]


class PromoteRequest(JsonBody):
    model_config = ConfigDict(json_schema_extra=_reasoned)

    force: bool = Field(False, description="Promote though a check says no. Goes into the audit log.")
    reason: Reason | None = Field(None, description="Why; `force` needs one.", validate_default=True)

    @field_validator("reason")
    @classmethod
    def _force_has_a_reason(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("force"):
            raise ValueError("To promote by force, say why")
        return value


class RollbackRequest(JsonBody):
    reason: Reason | None = None


class Progress(Answer):
    """In documents. `behind` ones will be there soon; `failed` ones could not be indexed this way."""

    documents: int
    indexed: int
    failed: int
    behind: int
    chunks: int

    @classmethod
    def of(cls, found: GenerationProgress) -> Self:
        return cls(
            documents=found.documents,
            indexed=found.indexed,
            failed=found.failed,
            behind=found.behind,
            chunks=found.chunks,
        )


class GenerationFailure(Answer):
    code: str
    message: str


class GenerationView(Answer):
    """One index of all documents. `active` answers, `standby` is one that did and is kept in step."""

    generation_id: str
    number: int
    state: Literal["building", "ready", "active", "standby", "retired"]
    embedder: str
    space: str
    dimensions: int
    chunking: dict[str, Any] | None
    progress: Progress
    evaluation: dict[str, Any] | None = Field(description="How it answered the golden questions, and the active one.")
    evaluated_at: datetime | None
    error: GenerationFailure | None = Field(description="What stopped its builder, which tries again.")
    created_at: datetime
    built_at: datetime | None
    retired_at: datetime | None

    @classmethod
    def of(cls, row: GenerationRow, progress: GenerationProgress) -> Self:
        failure = GenerationFailure(code=row.error_code, message=row.error_message or "") if row.error_code else None
        return cls(
            generation_id=row.id,
            number=row.number,
            state=GenerationState(row.state).value,
            embedder=row.embedder,
            space=row.space,
            dimensions=row.dimensions,
            chunking=row.chunking,
            progress=Progress.of(progress),
            evaluation=row.evaluation,
            evaluated_at=row.evaluated_at,
            error=failure,
            created_at=row.created_at,
            built_at=row.built_at,
            retired_at=row.retired_at,
        )


class GenerationList(Answer):
    """The newest hundred, newest first."""

    items: list[GenerationView]

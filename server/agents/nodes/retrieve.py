"""retrieve: find passages in the tenant's documents."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from core.errors import ApiError
from core.ids import TenantId
from server.agents.flow.definition import Json
from server.agents.nodes.base import Done, Effect, NodeConfig, NodeFailed, Step
from server.agents.nodes.ports import Portless
from server.auth.principal import Principal, Scope
from server.rag.queries.schemas import MAX_QUERY_CHARACTERS, QueryRequest
from server.rag.queries.service import Answering


class PassagesConfig(NodeConfig):
    """What is looked for, and where."""

    query: str = Field(max_length=MAX_QUERY_CHARACTERS, description="The question, or words to look for.")
    limit: int = Field(5, ge=1, le=100, description="How many passages.")
    mode: Literal["hybrid", "vector", "keyword"] = "hybrid"
    filters: dict[str, Any] | None = Field(None, description="By metadata, as in `POST /api/v1/rag/query`.")
    collection: str | None = Field(None, description="Without it, all of them.")


class RetrieveConfig(PassagesConfig):
    rerank: bool = False
    max_per_document: int | None = Field(None, ge=1, le=100)
    min_score: float = Field(0.0, ge=0, le=1, description="Passages below it are left out.")


def reader(tenant_id: TenantId) -> Principal:
    """Return who reads documents for a flow: its tenant, with that right and no other."""
    return Principal(tenant_id=tenant_id, scopes=frozenset({Scope.RAG_READ}))


def refused(error: ApiError) -> NodeFailed:
    """Return what a flow is told that asked for what cannot be."""
    faults = error.details.get("violations") or []
    told = "; ".join(f"{each['pointer']}: {each['message']}" for each in faults[:5])
    return NodeFailed(f"{error.message} {told}".strip(), code=error.code, retriable=error.status >= 500)


class Retrieve(Portless):
    name: ClassVar[str] = "retrieve"
    title: ClassVar[str] = "Retrieve"
    description: ClassVar[str] = "Finds the best passages in the tenant's documents, each with where it comes from."
    effect: ClassVar[Effect] = Effect.READ
    config_model = RetrieveConfig
    output_schema: ClassVar[Mapping[str, Json]] = {
        "type": "object",
        "properties": {
            "results": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "content": {"type": "string"},
                        "score": {"type": "number"},
                        "metadata": {"type": "object"},
                    },
                },
            },
            "index_version": {"type": "string"},
        },
    }

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def run(self, step: Step[RetrieveConfig]) -> Done:
        config = step.config
        asked = config.model_dump(exclude={"retry", "timeout_seconds", "min_score"})
        try:
            found = await self._answering.answer(reader(step.tenant_id), QueryRequest.model_validate(asked))
        except ApiError as error:
            raise refused(error) from error
        except ValueError as error:
            raise NodeFailed(f"This cannot be asked: {_first_line(error)}", code="NODE_CONFIG_INVALID") from None
        kept = [each for each in found.results if each.score >= config.min_score]
        results: list[Json] = [each.model_dump(mode="json") for each in kept]
        return Done(output={"results": results, "index_version": found.index_version})


def _first_line(error: ValueError) -> str:
    return str(error).splitlines()[0][:200]

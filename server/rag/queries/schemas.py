"""Questions as they are asked, and answers as the API reference shows them."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, WithJsonSchema

from server.openapi.models import Answer, JsonBody
from server.rag.documents.schemas import Collection, Text
from server.rag.queries.published import FILTER_SCHEMAS, FILTERS

MAX_QUERY_CHARACTERS = 10_000
Filters = Annotated[dict[str, Any], WithJsonSchema(FILTERS)]


class QueryRequest(JsonBody):
    named_schemas: ClassVar[dict[str, Any]] = dict(FILTER_SCHEMAS)

    query: Annotated[Text, StringConstraints(max_length=MAX_QUERY_CHARACTERS)]
    limit: int = Field(5, ge=1, le=100)
    filters: Filters | None = Field(
        None, description="By metadata; bare names look in yours first, `_system.*` means ours."
    )
    mode: Literal["hybrid", "vector", "keyword"] = "hybrid"
    collection: Collection | None = Field(None, description="Without it, all of them.")
    as_of: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(
        None,
        description="Ask the index as it was: an `index_version` of an answer, a time (ISO 8601), or a tag. Documents"
        " deleted since are left out all the same.",
        examples=["g3.v128"],
    )
    fusion: Literal["convex", "rrf"] = Field(
        "convex", description="How `hybrid` joins its sides: a weighted sum of scores, or by reciprocal ranks."
    )
    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="The vector's share in `convex`; the rest is the keywords'. Without it 0.8, and 0 for a question in"
        " a language that the index's embedder does not know.",
    )
    max_per_document: int | None = Field(None, ge=1, le=100, description="At most so many results of one document.")
    diversity: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Maximal marginal relevance with λ = 1 - diversity: results come in the order they are chosen.",
    )
    rerank: bool = Field(
        False, description="Read the best again, slower and better. Without it in time: as if not asked."
    )
    explain: bool = Field(False, description="Add the part scores to each result, and what the answer was made with.")


class QueryResult(Answer):
    """One chunk. `metadata` is the user's, overlaid with what says where the chunk comes from."""

    content: str
    score: float = Field(ge=0, le=1)
    metadata: dict[str, Any]


class Scores(Answer):
    """What each part gave; null where it did not find the chunk, or did not read it."""

    vector: float | None
    keyword: float | None
    rerank: float | None


class ExplainedResult(QueryResult):
    scores: Scores


class Explanation(Answer):
    """What the answer was made with. `fusion` is null where there was one side only, `alpha` where nothing weighed."""

    mode: str
    fusion: str | None
    alpha: float | None
    embedder: str
    reranker: str | None


def _absent(value: object) -> bool:
    return value is None


class QueryAnswer(Answer):
    results: list[ExplainedResult | QueryResult]
    total: int
    query_time: float = Field(description="Seconds.")
    index_version: str = Field(
        description="The version of the index that answered, for `as_of`: its generation and the state of its table.",
        examples=["g3.v128"],
    )
    reranked: bool | None = Field(None, exclude_if=_absent, description="Only with `rerank`: whether it was done.")
    rerank_fallback: Literal["not_configured", "timed_out", "failed"] | None = Field(
        None, exclude_if=_absent, description="Why it was not."
    )
    explanation: Explanation | None = Field(None, exclude_if=_absent, description="Only with `explain`.")

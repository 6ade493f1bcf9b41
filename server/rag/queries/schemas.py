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
    explain: bool = Field(False, description="Add the part scores to each result.")


class QueryResult(Answer):
    """One chunk. `metadata` is the user's, overlaid with what says where the chunk comes from."""

    content: str
    score: float = Field(ge=0, le=1)
    metadata: dict[str, Any]


class Scores(Answer):
    """What each side gave; null where it did not find the chunk."""

    vector: float | None
    keyword: float | None


class ExplainedResult(QueryResult):
    scores: Scores


class QueryAnswer(Answer):
    results: list[ExplainedResult | QueryResult]
    total: int
    query_time: float = Field(description="Seconds.")
    index_version: str = Field(
        description="The version of the index that answered, for `as_of`: its generation and the state of its table.",
        examples=["g3.v128"],
    )

"""What is asked, and what an answer is made of."""

from typing import Annotated

from pydantic import Field, StringConstraints

from server.openapi.models import Answer
from server.rag.queries.schemas import QueryRequest, QueryResult

EXTRACTIVE = "extractive"


class AnswerRequest(QueryRequest):
    limit: int = Field(5, ge=1, le=20, description="How many passages to answer from.")
    model: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")] = Field(
        EXTRACTIVE,
        description="`extractive` answers in the passages' own sentences; who runs this installation may set others.",
    )
    max_sentences: int = Field(3, ge=1, le=10, description="Longest extractive answer.")
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Abstain where the best sentence's confidence is lower; without it, a measured value for"
        " `extractive` and none for other models.",
    )
    stream: bool = Field(False, description="Answer as server-sent events: retrieved, delta, citation, done or error.")
    explain: bool = Field(False, description="Add the passages to the answer.")


class Citation(Answer):
    """`quote` stands in the chunk letter by letter, and proves `answer[start:end]`."""

    chunk_id: str
    document_id: str
    revision: int
    source: str
    page: int | None
    section: str | None
    quote: str
    start: int
    end: int


class Retrieved(Answer):
    """The first event: how many passages there are to answer from."""

    passages: int
    index_version: str


class Delta(Answer):
    """More of the answer. The citation that proves it is the event behind it."""

    text: str


class TokenUsage(Answer):
    prompt_tokens: int
    completion_tokens: int


class GroundedAnswer(Answer):
    """`abstained` answers are empty, and `reason` says why."""

    answer: str
    citations: list[Citation]
    abstained: bool
    reason: str | None
    confidence: float | None = Field(description="Of the best sentence, 0..1; null where no model gave one.")
    model: str
    usage: TokenUsage | None
    results: list[QueryResult] | None = Field(description="The passages, with `explain`.")
    query_time: float = Field(description="Seconds.")
    index_version: str

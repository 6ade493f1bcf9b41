"""What a preview answers."""

from pydantic import Field

from server.openapi.models import Answer
from server.rag.documents.views import Chunking
from server.rag.jobs.schemas import Failure


class PreviewChunk(Answer):
    """A chunk as it would be: characters `start` to `end` of the document's text."""

    position: int
    content: str
    tokens: int
    page: int | None
    section: str | None
    start: int
    end: int


class Preview(Answer):
    """What posting the same body would make. `error` says why it would fail; there are no chunks then."""

    chunks: list[PreviewChunk] = Field(description="The first of them.")
    total_chunks: int
    total_tokens: int = Field(description="What would be embedded: tokens that neighbours share count in both.")
    text_characters: int
    chunking: Chunking = Field(description="How it was cut, with what was not given filled in.")
    error: Failure | None

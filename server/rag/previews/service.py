"""Parse and cut a document as the worker would, and keep nothing of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from core.errors import DocumentTooLarge, IngestFailed, SourceUnavailable
from pipelines.chunking import chunkers_for
from pipelines.document import ChunkingConfig, Element, Passage, SourceFile, document_text
from pipelines.index.indexes import chunking_of
from pipelines.parsing.base import Parser
from server.auth.principal import Principal
from server.rag.documents.schemas import IngestRequest
from server.rag.documents.views import Chunking
from server.rag.jobs.schemas import Failure
from server.rag.previews.schemas import Preview, PreviewChunk
from server.rag.query_index import QueryIndexes

MAX_BYTES = 5 * 1024 * 1024
# The process that answers also serves everybody else: a book is for the workers to read.
MAX_CHARACTERS = 500_000
_SHOWN = 100
_AT_ONCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Previews:
    """One a process. The parser is the workers' jail, started with the first preview."""

    parser: Parser
    indexes: QueryIndexes
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def of(self, owner: Principal, request: IngestRequest) -> Preview:
        """Return what `request` would become in the caller's index. Raises ServiceUnavailable."""
        index = await self.indexes.active(owner.tenant_id)
        own = request.chunking
        config = own if index.generation is None else chunking_of(index.generation, own)
        async with self._gate:
            try:
                elements = await self._elements(request)
                chunker = chunkers_for(index.embedder)[config.strategy]
                passages = await asyncio.to_thread(chunker.split, elements, config)
            except IngestFailed as failure:
                return _preview((), (), config, failure)
        return _preview(elements, passages, config, None)

    async def _elements(self, request: IngestRequest) -> Sequence[Element]:
        content = request.content
        if content is None:
            raise SourceUnavailable("A preview fetches nothing. Post the address, or send what is there as a file.")
        if len(content) > MAX_BYTES:
            raise DocumentTooLarge(f"A preview reads at most {MAX_BYTES} bytes; posting has no such limit.")
        [parsed] = await self.parser.parse([SourceFile(name=request.label, content=content)])
        if parsed.failure is not None:
            raise parsed.failure
        if sum(len(element.text) for element in parsed.elements) > MAX_CHARACTERS:
            raise DocumentTooLarge(
                f"A preview cuts at most {MAX_CHARACTERS} characters of text; posting has no such limit."
            )
        return parsed.elements


def _preview(
    elements: Sequence[Element], passages: Sequence[Passage], config: ChunkingConfig, failure: IngestFailed | None
) -> Preview:
    return Preview(
        chunks=[_chunk(passage) for passage in passages[:_SHOWN]],
        total_chunks=len(passages),
        total_tokens=sum(passage.tokens for passage in passages),
        text_characters=len(document_text(elements)),
        chunking=Chunking.model_validate(asdict(config)),
        error=None if failure is None else Failure(code=failure.code, message=failure.message),
    )


def _chunk(passage: Passage) -> PreviewChunk:
    return PreviewChunk(
        position=passage.position,
        content=passage.text,
        tokens=passage.tokens,
        page=passage.page,
        section=passage.section,
        start=passage.start,
        end=passage.end,
    )

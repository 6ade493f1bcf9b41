"""The story of a document: fetch → parse → chunk → embed → commit-then-retire. Both lanes tell it with these steps.

Each step takes the works of one batch and returns them further along. A work that failed is carried through
untouched; its job is closed with the others, in `commit`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.errors import AttemptsExhausted, CodexError, IngestFailed, InternalFailure, LeaseLost
from core.ids import GenerationId, TenantId
from core.log import get_logger
from pipelines.document import (
    ChunkingConfig,
    ChunkingStrategy,
    Document,
    Element,
    Passage,
    SourceFile,
)
from pipelines.embedding.base import Vectors
from pipelines.embedding.cache import VectorCache, embed_reusing
from pipelines.index.indexes import Indexes, chunking_of
from pipelines.parsing.base import Parser
from pipelines.sources.contents import Contents
from pipelines.sources.expansion import GITHUB, Expansion
from stores.blobs import BlobStore
from stores.documents import Documents, StoredRevision
from stores.fetched import NOT_FETCHED
from stores.generations import Generation
from stores.letterbox import Job
from stores.sql.models import JobKind

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A job and how far it has come. `vectors` has one row per passage.

    `generation` is the index it goes to from beginning to end, wherever the pointer moves meanwhile.
    """

    job: Job
    document: Document | None = None
    generation: Generation | None = None
    file: SourceFile | None = None
    elements: tuple[Element, ...] = ()
    passages: tuple[Passage, ...] = ()
    vectors: Vectors | None = None
    failure: CodexError | None = None
    expanded: Mapping[str, int] | None = None
    """What became of the documents that this one stands for; it has no text of its own then."""

    @property
    def alive(self) -> bool:
        """Whether there is still something to do for it: neither failed nor about a deleted document."""
        return self.failure is None and self.document is not None and self.generation is not None


Embedded = Callable[[Work, int], None]
"""Is told how many passages of a work have their vector."""

# Large enough for the embedder to sort by length, small enough to tell of progress in between.
_EMBEDDED_AT_ONCE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestTools:
    """What the steps work with, made once a process."""

    documents: Documents
    contents: Contents
    expansion: Expansion
    parser: Parser
    indexes: Indexes
    vectors: VectorCache
    max_attempts: int

    @property
    def blobs(self) -> BlobStore:
        return self.contents.blobs


def document_of(stored: StoredRevision, generation: Generation) -> Document:
    """Return a revision as `generation` is to index it."""
    own = ChunkingConfig(
        strategy=ChunkingStrategy(stored.chunking["strategy"]),
        chunk_tokens=stored.chunking["chunk_tokens"],
        overlap_tokens=stored.chunking["overlap_tokens"],
    )
    return Document(
        tenant_id=stored.tenant_id,
        document_id=stored.document_id,
        revision=stored.revision,
        source=stored.source,
        source_type=stored.source_type,
        collection=stored.collection,
        metadata=stored.metadata,
        chunking=chunking_of(generation, own),
    )


async def fetch(tools: IngestTools, jobs: Sequence[Job]) -> list[Work]:
    """Look up what each job is about and bring its bytes. Works of deleted documents have no document."""
    stored = await tools.documents.revisions(jobs)
    await tools.documents.started(jobs)
    generations = {tenant_id: await tools.indexes.of(tenant_id) for tenant_id in {job.tenant_id for job in jobs}}

    async def bring(job: Job) -> Work:
        found = stored.get((job.document_id, job.revision))
        if found is None:
            return Work(job=job)
        generation = generations[job.tenant_id]
        work = Work(job=job, document=document_of(found, generation), generation=generation)
        if job.attempt > tools.max_attempts:
            return replace(work, failure=_exhausted(job))
        try:
            if found.source_type == GITHUB and found.blob_key == NOT_FETCHED:
                return replace(work, expanded=await tools.expansion.expand(job, found))
            return replace(work, file=await tools.contents.of(found))
        except (IngestFailed, LeaseLost) as failure:  # a lost job cannot be closed either, and nothing is said of it
            return replace(work, failure=failure)
        except OSError as error:
            log.error("blob.unreadable", job=job.id, error=repr(error))
            return replace(work, failure=_internal())

    return list(await asyncio.gather(*map(bring, jobs)))


async def parse(tools: IngestTools, works: Sequence[Work]) -> list[Work]:
    """Turn bytes into elements; files of different tenants never meet in one child process."""
    parsed = list(works)
    for indexes in _by_tenant(works):
        files = {index: file for index in indexes if (file := works[index].file) is not None}
        outcomes = await tools.parser.parse(list(files.values()))
        for index, outcome in zip(files, outcomes, strict=True):
            parsed[index] = replace(works[index], file=None, elements=outcome.elements, failure=outcome.failure)
    return parsed


async def chunk(tools: IngestTools, works: Sequence[Work]) -> list[Work]:
    """Cut elements into passages, each document by its own configuration."""

    def cut(work: Work) -> Work:
        if not work.alive or work.document is None or work.generation is None:
            return work
        config, generation = work.document.chunking, work.generation

        def split() -> Work:
            chunker = tools.indexes.chunker(generation, config.strategy)
            return replace(work, passages=tuple(chunker.split(work.elements, config)))

        return _guarded(work, split)

    return await asyncio.to_thread(lambda: [cut(work) for work in works])


async def embed(tools: IngestTools, works: Sequence[Work], said: Embedded | None = None) -> list[Work]:
    """Give every passage its vector; text this tenant has embedded before costs a look-up.

    `said` is told now and then, from another thread, how many passages of a work have theirs.
    """
    return await asyncio.to_thread(_embed, tools, works, said or (lambda work, count: None))


def _embed(tools: IngestTools, works: Sequence[Work], said: Embedded) -> list[Work]:
    embedded = list(works)
    for generation, indexes in _by_generation(works):
        texts = [passage.text for index in indexes for passage in works[index].passages]
        documents = [works[index].job.document_id for index in indexes for _ in works[index].passages]
        try:
            embedder = tools.indexes.embedder(generation)
            parts: list[Vectors] = []
            for first in range(0, len(texts), _EMBEDDED_AT_ONCE):
                some = slice(first, first + _EMBEDDED_AT_ONCE)
                parts.append(embed_reusing(embedder, tools.vectors, generation.tenant_id, texts[some], documents[some]))
                _tell(said, [works[index] for index in indexes], first, min(some.stop, len(texts)))
            vectors = np.concatenate(parts) if parts else np.empty((0, embedder.dimensions), np.float32)
        except IngestFailed as failure:
            for index in indexes:
                embedded[index] = replace(works[index], failure=failure)
            continue
        row = 0
        for index in indexes:
            count = len(works[index].passages)
            embedded[index] = replace(works[index], vectors=vectors[row : row + count])
            row += count
    return embedded


def _tell(said: Embedded, works: Sequence[Work], before: int, after: int) -> None:
    """Tell the works whose passages are among those from `before` to `after`, counted over all of them."""
    first = 0
    for work in works:
        last = first + len(work.passages)
        if max(before, first) < min(after, last):
            said(work, min(after, last) - first)
        first = last


def progress_of(stage: str, elements: int, chunks: int, embedded: int | None = None) -> dict[str, int | str]:
    """Return how far a job has come, as clients are told. `stage` is the last one that is done."""
    counted: dict[str, int | str] = {"stage": stage, "elements": elements, "chunks": chunks}
    return counted if embedded is None else {**counted, "embedded": embedded}


async def forget(tools: IngestTools, works: Sequence[Work]) -> list[Work]:
    """Forget the vectors of the documents that these works delete, in all their revisions.

    One that cannot be forgotten keeps its job open: unlike the index's rows, nobody would look for it later.
    """
    deleted = [work.job.document_id for work in works if work.job.kind is JobKind.DELETE]
    if not deleted:
        return list(works)
    try:
        await asyncio.to_thread(tools.vectors.forget, deleted)
    except Exception:
        log.exception("vectors.not_forgotten", documents=len(deleted))
        return [replace(work, failure=_internal()) if work.job.kind is JobKind.DELETE else work for work in works]
    return list(works)


def _by_tenant(works: Sequence[Work]) -> list[list[int]]:
    groups: dict[TenantId, list[int]] = {}
    for index, work in enumerate(works):
        if work.alive:
            groups.setdefault(work.job.tenant_id, []).append(index)
    return list(groups.values())


def _by_generation(works: Sequence[Work]) -> list[tuple[Generation, list[int]]]:
    groups: dict[GenerationId, tuple[Generation, list[int]]] = {}
    for index, work in enumerate(works):
        if work.alive and work.generation is not None:
            groups.setdefault(work.generation.id, (work.generation, []))[1].append(index)
    return list(groups.values())


def _guarded(work: Work, step: Callable[[], Work]) -> Work:
    try:
        return step()
    except IngestFailed as failure:
        return replace(work, failure=failure)
    except Exception:
        log.exception("step.failed", job=work.job.id)
        return replace(work, failure=_internal())


def _exhausted(job: Job) -> AttemptsExhausted:
    return AttemptsExhausted(
        f"The document was tried {job.attempt - 1} times and no worker finished it. "
        "Check it for unusual size or structure, then post it again."
    )


def _internal() -> InternalFailure:
    return InternalFailure("Something went wrong on our side while working on this document; it is tried again.")

"""Bring a generation up to what is indexed: the recipe of the lanes, driven by what it lacks instead of by jobs.

Killed at any moment it has lost nothing: what the table holds of a document is noted after its Lance commit, and what
is not noted is done again, with the same outcome.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.errors import EmbeddingFailed, IndexingFailed, IngestFailed, InternalFailure
from core.ids import DocumentId, JobId, TenantId
from core.log import get_logger, may_fail
from pipelines.index.rows import rows_of
from pipelines.index_writer import WRITE_TIME, IndexWriter
from pipelines.ingest import IngestTools, Work, chunk, document_of, embed, parse
from stores.buckets import bucket_of
from stores.documents import StoredRevision
from stores.generation_work import Behind, GenerationWork
from stores.generations import Generation, Holding
from stores.letterbox import Job
from stores.sql.models import GenerationState, JobKind, Lane

log = get_logger()

# A batch shares parsing children, an embedding call and one Lance commit.
BATCH_DOCUMENTS = 32
# A document that cannot be indexed stands in the way of a promotion, and this one could be before: a parser that was
# killed, or too slow on a busy machine, is not its fault.
_TRIES = 3

Told = Callable[["Followed"], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What was done, in documents; `chunks` counts those written."""

    documents: int = 0
    failed: int = 0
    erased: int = 0
    chunks: int = 0

    def __add__(self, other: "Followed") -> "Followed":
        return Followed(
            documents=self.documents + other.documents,
            failed=self.failed + other.failed,
            erased=self.erased + other.erased,
            chunks=self.chunks + other.chunks,
        )


async def _nobody(_followed: Followed) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """Made once a process, of the parts of a lane."""

    tools: IngestTools
    writer: IndexWriter
    work: GenerationWork

    async def follow(
        self, generation: Generation, *, most_documents: int | None = None, told: Told = _nobody
    ) -> Followed:
        """Give the generation what it lacks and take from it what was deleted; `told` after every batch.

        Raises EmbeddingFailed while its embedder cannot be had, IndexingFailed if it was retired meanwhile.
        """
        total = await self._erase(generation)
        while most_documents is None or total.documents + total.failed < most_documents:
            behind = await self.work.behind(generation, limit=BATCH_DOCUMENTS)
            if not behind:
                break
            total += await self._batch(generation, behind)
            await told(total)
        return total

    async def built(self, tenant_id: TenantId) -> list[Generation]:
        """Return the tenant's generations that are to be kept in step by whoever changes documents.

        Those that are being built have their builder.
        """
        found = await self.work.following(tenant_id)
        return [generation for generation in found if generation.state is not GenerationState.BUILDING]

    async def _batch(self, generation: Generation, behind: Sequence[Behind]) -> Followed:
        stored = await self.tools.documents.revisions_of([(found.document_id, found.revision) for found in behind])
        done: dict[DocumentId, Work] = {}
        left = behind
        for _ in range(_TRIES):
            done |= {work.job.document_id: work for work in await self._tried(generation, stored, left)}
            left = [found for found in left if done[found.document_id].failure is not None]
            if not left:
                break
        return await self._write(generation, behind, list(done.values()))

    async def _tried(
        self,
        generation: Generation,
        stored: Mapping[tuple[DocumentId, int], StoredRevision],
        behind: Sequence[Behind],
    ) -> list[Work]:
        """Take documents through every step. Raises what is no fault of theirs."""
        done: list[Work] = list(
            await asyncio.gather(
                *(self._fetch(generation, stored.get((found.document_id, found.revision)), found) for found in behind)
            )
        )
        for step in (parse, chunk, embed):
            done = await step(self.tools, done)
        for work in done:
            # The documents are sound: to say that they failed would be to lose them.
            if isinstance(work.failure, EmbeddingFailed | IndexingFailed):
                raise work.failure
        return done

    async def _fetch(self, generation: Generation, found: StoredRevision | None, wanted: Behind) -> Work:
        work = Work(job=_job_of(generation, wanted), generation=generation)
        if found is None:  # deleted meanwhile, or its revision is not kept
            return work
        work = replace(work, document=document_of(found, generation))
        try:
            return replace(work, file=await self.tools.contents.of(found))
        except IngestFailed as failure:
            return replace(work, failure=failure)
        except OSError as error:
            log.error("blob.unreadable", document=found.document_id, error=repr(error))
            return replace(work, failure=InternalFailure("What was posted could not be read."))

    async def _write(self, generation: Generation, behind: Sequence[Behind], works: Sequence[Work]) -> Followed:
        indexes = self.writer.indexes
        async with self.writer.lease(generation) as lease:
            if not await indexes.generations.is_usable(generation.id):
                raise IndexingFailed("The generation was retired while it was being built.")
            # Asked under the lease: a deletion that comes later waits for it, and finds what is written now.
            living = await indexes.generations.living(generation.tenant_id, [found.document_id for found in behind])
            kept = [work for work in works if work.job.document_id in living]
            await self._forget([work.job.document_id for work in works if work.job.document_id not in living])
            written = [work for work in kept if work.alive]
            self.writer.leases.confirm(lease, WRITE_TIME)
            table = await self.writer.lance.open_table(
                generation.tenant_id, generation.table_space, generation.dimensions
            )
            if written:
                retire = {work.job.document_id: work.job.revision for work in written}
                await table.commit(rows_of(written), retire=retire)
        times = {found.document_id: found for found in behind}
        held = [_holding(work, times[work.job.document_id]) for work in kept]
        async with self.writer.database.transaction() as session:
            await indexes.generations.hold(session, generation.id, held)
        return Followed(
            documents=len(written),
            failed=len(kept) - len(written),
            chunks=sum(len(work.passages) for work in written),
        )

    async def _forget(self, deleted: Sequence[DocumentId]) -> None:
        """Forget the vectors of documents whose deletion had forgotten them before this embedded them."""
        if deleted:
            with may_fail("forgetting the vectors of deleted documents"):  # the nightly maintenance looks for them
                await asyncio.to_thread(self.tools.vectors.forget, deleted)

    async def _erase(self, generation: Generation) -> Followed:
        erased = 0
        while gone := await self.work.gone(generation, limit=500):
            async with self.writer.lease(generation):
                table = await self.writer.lance.find_table(
                    generation.tenant_id, generation.table_space, generation.dimensions
                )
                if table is not None:
                    await table.delete_documents(gone)
            async with self.writer.database.transaction() as session:
                await self.writer.indexes.generations.let_go(session, gone, generation_id=generation.id)
            erased += len(gone)
        return Followed(erased=erased)


def _job_of(generation: Generation, wanted: Behind) -> Job:
    # The recipe's steps take works by their jobs; this one lies in no letterbox, and nobody closes it.
    return Job(
        id=JobId(f"{generation.id}:{wanted.document_id}"),
        tenant_id=generation.tenant_id,
        kind=JobKind.INGEST,
        document_id=DocumentId(wanted.document_id),
        revision=wanted.revision,
        bucket=bucket_of(generation.tenant_id),
        lane=Lane.BATCH,
        attempt=1,
        fence=0,
        created_at=wanted.indexed_at,
    )


def _holding(work: Work, behind: Behind) -> Holding:
    failure = work.failure or (None if work.alive else InternalFailure("What was posted is not kept any more."))
    return Holding(
        document_id=DocumentId(work.job.document_id),
        revision=None if failure else work.job.revision,
        chunk_count=0 if failure else len(work.passages),
        source_indexed_at=behind.indexed_at,
        error_code=failure.code if failure else None,
        error_message=failure.message if failure else None,
    )

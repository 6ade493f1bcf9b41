"""The recipe's steps over a stage's table, a slice at a time, so that Python objects do not pile up with the bucket."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import polars as pl

from assets.rag.counting import CountingEmbedder, WriteOnlyCache
from assets.rag.tables import (
    chunks_table,
    elements_table,
    embeddings_table,
    index_table,
    jobs_in,
    progress_in,
    works_in,
)
from assets.resources import PlatformResource
from core.log import may_fail
from pipelines.batch_intake import take_jobs
from pipelines.embedding.base import Embedder
from pipelines.ingest import Work, chunk, embed, fetch, forget, parse
from stores.letterbox import Job
from stores.sql.models import JobKind, Lane

if TYPE_CHECKING:
    # Loads the model runtime and LanceDB: a code server that only lists assets must not pay for them.
    from pipelines.assembly import Ingestion
    from pipelines.index_writer import Outcome

# Jobs of one slice share parsing children and an embedding call sorted by length.
_SLICE_JOBS = 128
# Those written together share a Lance commit per tenant, and a transaction: others want SQLite's one writer as well.
WRITTEN_AT_ONCE = 32

Step = Callable[["Ingestion", pl.DataFrame], Awaitable[pl.DataFrame]]


def run_step(
    platform: PlatformResource,
    table: pl.DataFrame,
    step: Step,
    *,
    stage: str | None = None,
    slice_jobs: int = _SLICE_JOBS,
) -> pl.DataFrame:
    """Take `table` through `step` on an event loop of its own, its jobs' leases kept alive.

    Jobs that are through are shown to be at `stage`; a step that closes its jobs has none.
    """
    platform.hold(jobs_in(table))

    async def run() -> pl.DataFrame:
        done = []
        async with platform.ingestion() as ingestion:
            for part in _slices(table, slice_jobs):
                done.append(await step(ingestion, part))
                if stage is not None:
                    platform.report(progress_in(done[-1], stage))
        return pl.concat(done)

    return asyncio.run(run())


def _slices(table: pl.DataFrame, jobs: int) -> Iterator[pl.DataFrame]:
    return table.iter_slices(jobs) if table.height else iter([table])


async def parsed(ingestion: "Ingestion", table: pl.DataFrame) -> pl.DataFrame:
    """Fetch and parse the documents of jobs; deletions have nothing to parse and are carried along."""
    jobs = jobs_in(table)
    works = await fetch(ingestion.tools, [job for job in jobs if job.kind is JobKind.INGEST])
    deletions = [Work(job=job) for job in jobs if job.kind is JobKind.DELETE]
    return elements_table([*await parse(ingestion.tools, works), *deletions])


async def chunked(ingestion: "Ingestion", table: pl.DataFrame) -> pl.DataFrame:
    """Cut elements into chunks."""
    return chunks_table(await chunk(ingestion.tools, works_in(table)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A run's share. `waiting` jobs of the bucket are left for the next run."""

    jobs: list[Job]
    posted: int
    waiting: int


async def take(
    platform: PlatformResource, *, owner: str, bucket: int, repost: bool, max_jobs: int, max_bytes: int
) -> Taken:
    """Take a run's share of a bucket's jobs; `repost` first posts every indexed document again."""
    async with platform.intake() as intake:
        posted = await intake.letterbox.post_reindex(bucket) if repost else 0
        jobs = await take_jobs(
            intake.letterbox, intake.documents, owner=owner, bucket=bucket, max_jobs=max_jobs, max_bytes=max_bytes
        )
        waiting = await intake.letterbox.buckets_waiting(Lane.BATCH)
    return Taken(jobs=jobs, posted=posted, waiting=waiting.get(bucket, 0))


class Embedding:
    """Gives every chunk its vector, and counts those that had to be computed."""

    def __init__(self, *, reuse: bool) -> None:
        self._reuse = reuse
        self._counting: list[CountingEmbedder] = []
        self._spaces: dict[str, int] = {}

    @property
    def spaces(self) -> str:
        """The spaces that vectors were made for, with their dimensions."""
        return ", ".join(f"{space} ({dimensions})" for space, dimensions in sorted(self._spaces.items()))

    @property
    def computed(self) -> int:
        return sum(counting.texts for counting in self._counting)

    def _counted(self, embedder: Embedder) -> CountingEmbedder:
        self._counting.append(CountingEmbedder(embedder))
        self._spaces[embedder.space] = embedder.dimensions
        return self._counting[-1]

    async def step(self, ingestion: "Ingestion", table: pl.DataFrame) -> pl.DataFrame:
        vectors = ingestion.tools.vectors if self._reuse else WriteOnlyCache(ingestion.tools.vectors)
        indexes = replace(ingestion.tools.indexes, around=self._counted)
        works = await embed(replace(ingestion.tools, indexes=indexes, vectors=vectors), works_in(table))
        return embeddings_table(works)


class Writing:
    """Writes works down, and notes what became of them."""

    def __init__(self, platform: PlatformResource) -> None:
        self._platform = platform
        self._outcomes: list[Outcome] = []

    @property
    def outcome(self) -> "Outcome":
        return reduce(add, self._outcomes)

    async def step(self, ingestion: "Ingestion", table: pl.DataFrame) -> pl.DataFrame:
        works = await forget(ingestion.tools, works_in(table))
        outcome = await ingestion.writer.commit(works)
        self._platform.put_down([work.job for work in works])
        self._outcomes.append(outcome)
        for tenant_id in {work.job.tenant_id for work in works}:
            with may_fail("tidying an index"):
                await ingestion.writer.tidy(tenant_id)
        return index_table(works)

"""The stream lane: woken by the bell, or by its own patience, it takes jobs from the letterbox and finishes them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from core import tracing
from core.ids import GenerationId, TenantId
from core.log import get_logger, may_fail
from pipelines.index.generations.follow import Follower
from pipelines.index_writer import IndexWriter, Outcome
from pipelines.ingest import IngestTools, Work, chunk, embed, fetch, forget, parse, progress_of
from stores.generations import Generation
from stores.job_keeper import KeptJobs, keep
from stores.letterbox import Job, Letterbox
from stores.redis import Bell
from stores.sql.models import JobKind, Lane

log = get_logger()

# A batch shares one fork, one embedding call and one Lance commit; more gains little and makes the first wait.
BATCH_JOBS = 32
# Those that are fetched first wait for the slowest site among them.
FETCHED_JOBS = 8


async def work_off(tools: IngestTools, writer: IndexWriter, jobs: Sequence[Job], kept: KeptJobs) -> Outcome:
    """Take `jobs` through every step. The two lanes differ in who calls this, not in what it does."""
    ingest_jobs = [job for job in jobs if job.kind is JobKind.INGEST]

    def say(stage: str, work: Work, embedded: int | None = None) -> None:
        kept.progress[work.job.id] = progress_of(stage, len(work.elements), len(work.passages), embedded)

    with tracing.span("ingest.fetch"):
        works = await fetch(tools, ingest_jobs)
    for step, stage in ((parse, "parsed"), (chunk, "chunked")):
        with tracing.span(f"ingest.{step.__name__}"):
            works = await step(tools, works)
        for work in works:
            say(stage, work)
    with tracing.span("ingest.embed"):
        works = await embed(tools, works, lambda work, count: say("chunked", work, count))
    for work in works:
        say("embedded", work, len(work.passages))
    deletes = await forget(tools, [Work(job=job) for job in jobs if job.kind is JobKind.DELETE])
    with tracing.span("ingest.commit"):
        return await writer.commit([*works, *deletes])


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestLane:
    """Runs until told to stop; several slots let one batch parse while another embeds."""

    tools: IngestTools
    writer: IndexWriter
    letterbox: Letterbox
    bell: Bell
    lease: timedelta
    owner: str
    slots: int = 2
    fetching_slots: int = 4
    poll_seconds: float = 1.0
    grace_seconds: float = 3.0
    upkeep_seconds: float = 5.0
    follower: Follower | None = None
    follow_seconds: float = 1.0
    _touched: set[TenantId] = field(default_factory=set)
    _ahead: set[TenantId] = field(default_factory=set)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. What is not finished `grace_seconds` later is put back for another worker."""
        rung = asyncio.Event()
        beside = [asyncio.create_task(each) for each in (self._listen(rung), self._keep_up(), self._follow())]
        lanes = [Lane.STREAM] * self.slots + [Lane.FETCH] * self.fetching_slots
        slots = [asyncio.create_task(self._slot(lane, stop, rung)) for lane in lanes]
        await stop.wait()
        _done, unfinished = await asyncio.wait(slots, timeout=self.grace_seconds)
        for task in (*unfinished, *beside):
            task.cancel()
        await asyncio.gather(*slots, *beside, return_exceptions=True)

    async def _listen(self, rung: asyncio.Event) -> None:
        while True:
            # Rung or not: a poll each second finds what no bell announced, so Redis may vanish without loss.
            await self.bell.wait(self.poll_seconds)
            rung.set()

    async def _keep_up(self) -> None:
        # Each small commit leaves a fragment and rows that no index knows: a hundred of them slow a search tenfold.
        while True:
            await asyncio.sleep(self.upkeep_seconds)
            while self._touched:
                tenant_id = self._touched.pop()
                with may_fail("tidying an index"):
                    await self.writer.tidy(tenant_id)

    async def _follow(self) -> None:
        # The tenant's other generations, so that one can be promoted, or gone back to, without waiting for a builder.
        # Each by itself: one may have to wait for a table that a promotion holds until another one is in step.
        under_way: set[GenerationId] = set()
        async with asyncio.TaskGroup() as tasks:
            while self.follower is not None:
                await asyncio.sleep(self.follow_seconds)
                for tenant_id in [self._ahead.pop() for _ in range(len(self._ahead))]:
                    with may_fail("looking for generations to keep in step"):
                        for generation in await self.follower.built(tenant_id):
                            if generation.id in under_way:
                                self._ahead.add(tenant_id)  # it may have looked too early for what came since
                            else:
                                under_way.add(generation.id)
                                tasks.create_task(self._bring_into_step(self.follower, generation, under_way))

    async def _bring_into_step(self, follower: Follower, generation: Generation, under_way: set[GenerationId]) -> None:
        try:
            with may_fail("keeping a generation in step"):  # its builder does it otherwise
                done = await follower.follow(generation, most_documents=BATCH_JOBS)
                if done.documents + done.failed >= BATCH_JOBS:
                    self._ahead.add(generation.tenant_id)  # its lanes may be waiting for a promotion, and not add it
        finally:
            under_way.discard(generation.id)

    async def _slot(self, lane: Lane, stop: asyncio.Event, rung: asyncio.Event) -> None:
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            rung.clear()
            try:
                found = await self.take_batch(lane)
            except Exception:  # the database is away, say: the lane outlives it
                log.exception("lane.batch_failed")
                found = 0
                await asyncio.wait([stopping], timeout=self.poll_seconds)
            if not found:
                waiting = asyncio.create_task(rung.wait())
                await asyncio.wait([waiting, stopping], return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
        stopping.cancel()

    async def take_batch(self, lane: Lane = Lane.STREAM) -> int:
        """Claim one batch of `lane` and finish it; return how many jobs it had."""
        limit = FETCHED_JOBS if lane is Lane.FETCH else BATCH_JOBS
        jobs = await self.letterbox.claim(self.owner, lane, limit=limit)
        if not jobs:
            return 0
        async with keep(self.letterbox, jobs, lease=self.lease) as kept:
            try:
                with tracing.span("ingest.batch", codexos__jobs=len(jobs)):
                    outcome = await work_off(self.tools, self.writer, jobs, kept)
            except asyncio.CancelledError:
                await self._put_back(kept)
                raise
        self._touched.update(job.tenant_id for job in jobs)
        self._ahead.update(job.tenant_id for job in jobs)
        log.info("lane.batch_finished", jobs=len(jobs), outcome=outcome)
        return len(jobs)

    async def _put_back(self, kept: KeptJobs) -> None:
        for job in kept.jobs:
            with may_fail("putting a job back"):  # its lease ends by itself otherwise
                await self.letterbox.release(job)

"""Build a generation to its end: follow until nothing is lacking, fold the indexes, measure, make it ready."""

from dataclasses import dataclass

from core.clock import Clock
from core.errors import CodexError, InternalFailure
from core.events import EventType
from core.ids import GenerationId
from core.log import get_logger
from pipelines.index.generations.follow import Followed, Follower
from pipelines.index.generations.measure import evaluation_of, measure
from pipelines.index.generations.wanted import is_current
from pipelines.index.maintenance import tidy
from stores.generation_work import GenerationWork
from stores.generations import Generation, Generations
from stores.golden_sets import GoldenSets
from stores.outbox import Outbox
from stores.sql.models import GenerationState

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Made once a run. `tolerance` is how much worse a generation may answer before promotion is refused."""

    follower: Follower
    golden_sets: GoldenSets
    outbox: Outbox
    clock: Clock
    tolerance: float

    @property
    def work(self) -> GenerationWork:
        return self.follower.work

    @property
    def _generations(self) -> Generations:
        return self.follower.writer.indexes.generations

    async def build(self, generation: Generation) -> Followed:
        """Bring `generation` up to date; one that was being built is ready afterwards. Raises what stopped it.

        Whoever runs next goes on where this one stopped: nothing that is noted is done again.
        """

        async def told(_followed: Followed) -> None:
            await self.work.begin(generation.id)

        await self.work.begin(generation.id)
        try:
            done = await self.follower.follow(generation, told=told)
            await self._fold(generation)
            await self.measure(generation)
            if generation.state is GenerationState.BUILDING:
                await self._make_ready(generation)
        except Exception as error:
            failure = (
                error if isinstance(error, CodexError) else InternalFailure("Building stopped; it is tried again.")
            )
            await self.work.end(generation.id, failure)
            raise
        await self.work.end(generation.id)
        return done

    async def measure(self, generation: Generation) -> None:
        """Hold the generation against the one that answers, unless that has been done or they are the same."""
        active = await self._generations.active(generation.tenant_id)
        if active is None or active.id == generation.id:
            return
        versions = await self.golden_sets.versions(generation.tenant_id)
        before = await self.work.evaluation(generation.id)
        if not versions or (before is not None and is_current(before, against=active.number, versions=versions)):
            return
        writer = self.follower.writer
        measured = await measure(
            writer.lance,
            writer.indexes,
            self.golden_sets,
            active=active,
            candidate=generation,
            tolerance=self.tolerance,
        )
        evaluation = evaluation_of(
            measured, active=active, tolerance=self.tolerance, at=self.clock.now(), before=before
        )
        await self.work.evaluated(generation.id, evaluation)

    async def _fold(self, generation: Generation) -> None:
        writer = self.follower.writer
        async with writer.lease(generation):
            # Made even where there is nothing to hold: promoted, it answers with nothing rather than with an error.
            table = await writer.lance.open_table(generation.tenant_id, generation.table_space, generation.dimensions)
            await tidy(table, retain=writer.retain)

    async def _make_ready(self, generation: Generation) -> None:
        async with self.follower.writer.database.transaction() as session:
            if await self.work.built(session, generation.id):
                payload = {"generation_id": GenerationId(generation.id), "number": generation.number}
                self.outbox.append(session, generation.tenant_id, EventType.RAG_GENERATION_READY, payload)

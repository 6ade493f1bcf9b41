"""Start a run for each generation that wants something; one that was killed is followed by another."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from assets.generations.assets import GenerationsConfig, index_generations
from assets.generations.checks import golden_questions
from assets.resources import PlatformResource
from core.ids import GenerationId
from pipelines.index.generations.wanted import wanted
from stores.generation_work import GenerationWork
from stores.generations import Generations
from stores.golden_sets import GoldenSets

_GENERATION_TAG = "codexos/generation"
# So long a run may take from being asked for to saying that it is at work.
_STARTING = timedelta(minutes=2)
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]

BUILD_GENERATIONS = dg.define_asset_job(
    "build_generations",
    selection=dg.AssetSelection.assets(index_generations) | dg.AssetSelection.checks(golden_questions),
    description="Build index generations, keep them in step, and ask them the golden questions.",
)


@dg.sensor(
    job=BUILD_GENERATIONS,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Builds generations that were asked for, and mends what fell behind.",
)
def generation_builder(
    context: dg.SensorEvaluationContext, platform: PlatformResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    found = asyncio.run(_look(platform))
    starting = being_started(
        context.instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED)), now=datetime.now(UTC)
    )
    startable = [generation_id for generation_id in found if generation_id not in starting]
    if not startable:
        yield dg.SkipReason(f"{len(found)} generations want something, {len(starting)} runs are starting.")
    for generation_id in startable[:1]:  # a run is a process of half a gigabyte; the next tick starts the next
        yield dg.RunRequest(
            run_config=dg.RunConfig(ops={"index_generations": GenerationsConfig(generation_id=generation_id)}),
            tags={_GENERATION_TAG: generation_id},
        )


async def _look(platform: PlatformResource) -> list[GenerationId]:
    async with platform.database() as database:
        clock = platform.clock
        work, generations = GenerationWork(database, clock), Generations(database, clock)
        return [found.id for found in await wanted(work, generations, GoldenSets(database), clock)]


def being_started(unfinished: Sequence[dg.RunRecord], *, now: datetime) -> set[str]:
    """Return the generations for which a run waits or has just been started; one at work says so itself."""
    return {
        record.dagster_run.tags[_GENERATION_TAG]
        for record in unfinished
        if _GENERATION_TAG in record.dagster_run.tags
        and (record.dagster_run.status is dg.DagsterRunStatus.QUEUED or now - record.create_timestamp < _STARTING)
    }

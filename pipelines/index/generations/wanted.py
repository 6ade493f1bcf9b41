"""Which generations a builder has something to do for. Loads neither a model nor LanceDB: a sensor asks it often."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from core.clock import Clock
from stores.generation_work import GenerationWork
from stores.generations import Generation, Generations
from stores.golden_sets import GoldenSets
from stores.sql.models import GenerationState

# A builder that has said nothing for so long is dead, and another may begin.
SILENCE = timedelta(minutes=2)


async def wanted(
    work: GenerationWork, generations: Generations, golden_sets: GoldenSets, clock: Clock
) -> list[Generation]:
    """Return the generations that are to be built, brought into step or measured, and that nobody is at work on."""
    busy = await work.worked_on_since(clock.now() - SILENCE)
    return [
        found
        for found in await work.following()
        if found.id not in busy and await _is_wanted(work, generations, golden_sets, found)
    ]


async def _is_wanted(
    work: GenerationWork, generations: Generations, golden_sets: GoldenSets, generation: Generation
) -> bool:
    if generation.state is GenerationState.BUILDING:
        return True
    if await work.behind(generation, limit=1) or await work.gone(generation, limit=1):
        return True
    active = await generations.active(generation.tenant_id)
    if active is None or active.id == generation.id:
        return False
    versions = await golden_sets.versions(generation.tenant_id)
    return not is_current(await work.evaluation(generation.id), against=active.number, versions=versions)


def is_current(evaluation: Mapping[str, Any] | None, *, against: int, versions: Mapping[str, int]) -> bool:
    """Whether an evaluation is of these versions of the golden sets, against the generation of this number."""
    if evaluation is None:
        return not versions
    measured = {each["golden_set_id"]: each["version"] for each in evaluation["sets"]}
    return not versions or (evaluation["against"] == against and measured == dict(versions))

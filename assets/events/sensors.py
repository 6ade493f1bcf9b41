"""Append to the outbox what Dagster's runs did, each occurrence once: the dispatcher tells it on, in its own time."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import dagster as dg

from assets.events.happenings import ENDS, Happening, happenings
from assets.resources import PlatformResource

# Runs a tick looks at for each way of ending; the next tick goes on.
_RUNS_AT_ONCE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How far each kind of end has been told, as Dagster's cursors."""

    cursors: Mapping[str, str | None]

    @classmethod
    def of(cls, cursor: str | None) -> Self:
        return cls(cursors=json.loads(cursor) if cursor else {})

    def __str__(self) -> str:
        return json.dumps(self.cursors, sort_keys=True)


@dg.sensor(
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the operator's webhooks how runs ended, what they made and which checks failed.",
)
def event_teller(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.SkipReason:
    found, seen = look(context.instance, Seen.of(context.cursor))
    told = asyncio.run(tell(platform, found))
    # Behind the commit: a tick that dies between the two tells the same again, under keys that are known by then.
    context.update_cursor(str(seen))
    return dg.SkipReason(f"Told {told} of {len(found)} happenings; the others were told before, or nobody is to know.")


def look(instance: dg.DagsterInstance, seen: Seen) -> tuple[list[Happening], Seen]:
    """Return what happened in runs that ended since, and how far that goes."""
    found: list[Happening] = []
    cursors = dict(seen.cursors)
    for kind in ENDS:
        ends = instance.fetch_run_status_changes(
            kind, limit=_RUNS_AT_ONCE, cursor=cursors.get(kind.value), ascending=True
        )
        for end in ends.records:
            found += happenings(instance, end)
        cursors[kind.value] = ends.cursor
    return found, Seen(cursors=cursors)


async def tell(platform: PlatformResource, found: Sequence[Happening]) -> int:
    """Append those that were not yet, for the operator's tenant; return how many."""
    async with platform.outbox() as opened:
        if opened is None or not found:
            return 0
        database, outbox, tenant_id = opened
        async with database.transaction() as session:
            appended = [
                await outbox.append_once(
                    session, tenant_id, each.event_type, each.payload, key=each.key, subject=each.subject
                )
                for each in found
            ]
        return sum(appended)

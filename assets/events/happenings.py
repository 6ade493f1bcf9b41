"""What of a finished run is worth telling: how it ended, which assets it made, which checks failed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg

from core.events import EventType

_ENDED_WELL = EventType.DATA_RUN_SUCCEEDED
_ENDED_BADLY = EventType.DATA_RUN_FAILED
ENDS = {
    dg.DagsterEventType.RUN_SUCCESS: _ENDED_WELL,
    dg.DagsterEventType.RUN_FAILURE: _ENDED_BADLY,
    dg.DagsterEventType.RUN_CANCELED: _ENDED_BADLY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One occurrence. `key` is the same whenever it is looked at, and no other occurrence's."""

    key: str
    event_type: EventType
    payload: dict[str, Any]
    subject: str


def happenings(instance: dg.DagsterInstance, ended: dg.EventLogRecord) -> Iterator[Happening]:
    """Yield what happened in the run whose end this is, its end last."""
    run_id = ended.event_log_entry.run_id
    wanted = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION}
    cursor, more = None, True
    while more:
        page = instance.get_records_for_run(run_id, cursor=cursor, of_type=wanted)
        cursor, more = page.cursor, page.has_more
        for record in page.records:
            yield from _in_a_run(run_id, record)
    yield _end(instance, run_id, ended)


def _in_a_run(run_id: str, record: dg.EventLogRecord) -> Iterator[Happening]:
    event = record.event_log_entry.dagster_event
    if event is None:
        return
    where = f"{run_id}:{record.storage_id}"
    if event.is_step_materialization:
        payload = {"run_id": run_id, "asset": _name(event.asset_key), "partition": event.partition}
        yield Happening(key=where, event_type=EventType.DATA_ASSET_MATERIALIZED, payload=payload, subject=run_id)
    elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        evaluation = event.asset_check_evaluation_data
        if not evaluation.passed:
            payload = {
                "run_id": run_id,
                "asset": _name(evaluation.asset_key),
                "check": evaluation.check_name,
                "partition": evaluation.partition,
                "severity": evaluation.severity.value.lower(),
                "description": evaluation.description,
            }
            yield Happening(key=where, event_type=EventType.DATA_ASSET_CHECK_FAILED, payload=payload, subject=run_id)


def _end(instance: dg.DagsterInstance, run_id: str, ended: dg.EventLogRecord) -> Happening:
    event, run = ended.event_log_entry.dagster_event, instance.get_run_by_id(run_id)
    assert event is not None
    assert event.event_type is not None
    payload = {
        "run_id": run_id,
        "job": event.job_name,
        "status": "canceled" if event.event_type is dg.DagsterEventType.RUN_CANCELED else _word(event.event_type),
        "partition": None if run is None else run.tags.get("dagster/partition"),
    }
    return Happening(key=f"{run_id}:end", event_type=ENDS[event.event_type], payload=payload, subject=run_id)


def _word(event_type: dg.DagsterEventType) -> str:
    return "succeeded" if event_type is dg.DagsterEventType.RUN_SUCCESS else "failed"


def _name(key: dg.AssetKey | None) -> str:
    return "" if key is None else key.to_user_string()

"""Schedules as they are written and read."""

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field

from server.agents.flow.faults import FlowFault
from server.agents.flows.schemas import HIGHEST_VERSION, FaultView
from server.agents.schedules.timing import MOST_CHARACTERS, fault_of_cron, fault_of_zone, times
from server.openapi.models import Answer, JsonBody
from server.openapi.pagination import Page, PageQuery
from stores.sql.models import FlowScheduleRow, FlowScheduleRunRow

MICROS = 1_000_000
_MOST_COST = 1_000_000_000.0
_UPCOMING = 5

Overlap = Literal["skip", "queue", "cancel_running"]
Outcome = Literal["started", "queued", "skipped", "refused"]


def _cron(value: str) -> str:
    if wrong := fault_of_cron(value):
        raise ValueError(wrong)
    return value


def _zone(value: str) -> str:
    if wrong := fault_of_zone(value):
        raise ValueError(wrong)
    return value


Name = Annotated[str, Field(min_length=1, max_length=255)]
Cron = Annotated[
    str,
    Field(max_length=MOST_CHARACTERS, description="Minute, hour, day, month, day of the week: 30 9 * * MON-FRI."),
    AfterValidator(_cron),
]
Zone = Annotated[
    str, Field(max_length=100, description="In which cron is read, such as Europe/Athens."), AfterValidator(_zone)
]
WhatIfOverlap = Annotated[
    Overlap,
    Field(
        description="What happens if the execution before still runs. skip: nothing; queue: it begins after that,"
        " one at most; cancel_running: that one is called off."
    ),
]
Version = Annotated[
    int, Field(ge=1, le=HIGHEST_VERSION, description="Of the flow. Without it, the one that is published by then.")
]
MaxCost = Annotated[float, Field(gt=0, le=_MOST_COST, description="What one execution may spend at most.")]


class ScheduleBody(JsonBody):
    name: Name
    cron: Cron
    timezone: Zone = "UTC"
    overlap: WhatIfOverlap = "skip"
    flow_version: Version | None = None
    input: Any = Field(default_factory=dict)
    max_cost: MaxCost | None = None
    paused: bool = False


class ScheduleChange(JsonBody):
    """What is left out stays as it is."""

    name: Name = ""
    cron: Cron = ""
    timezone: Zone = "UTC"
    overlap: WhatIfOverlap = "skip"
    flow_version: Version | None = None
    input: Any = None
    max_cost: MaxCost | None = None
    paused: bool = False


class SchedulesQuery(PageQuery):
    pass


class RunsQuery(PageQuery):
    pass


class ScheduleItem(Answer):
    schedule_id: str
    flow_id: str
    name: str
    cron: str
    timezone: str
    overlap: Overlap
    flow_version: int | None
    input: Any
    max_cost: float | None
    paused: bool
    next_at: datetime | None = Field(description="When it is due next; null while it is paused.")
    last_at: datetime | None
    last_problem: str | None = Field(description="Why the last time brought no execution about.")
    version: int
    created_by: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: FlowScheduleRow, **more: Any) -> Self:
        return cls(
            schedule_id=row.id,
            flow_id=row.flow_id,
            name=row.name,
            cron=row.cron,
            timezone=row.timezone,
            overlap=row.overlap,
            flow_version=row.flow_version,
            input=json.loads(row.input),
            max_cost=None if row.max_cost_micros is None else row.max_cost_micros / MICROS,
            paused=row.paused,
            next_at=row.next_at,
            last_at=row.last_at,
            last_problem=row.last_problem,
            version=row.version,
            created_by=row.created_by,
            created_at=row.created_at,
            updated_at=row.updated_at,
            **more,
        )


class ScheduleView(ScheduleItem):
    upcoming: list[datetime] = Field(description="The next times, daylight saving considered.")
    problems: list[FaultView] = Field(description="What the flow will lack when it is due, as far as is known now.")

    @classmethod
    def whole(cls, row: FlowScheduleRow, now: datetime, problems: Sequence[FlowFault]) -> Self:
        upcoming = [] if row.paused else list(islice(times(row.cron, row.timezone, now), _UPCOMING))
        told = [FaultView(code=each.code, pointer=each.pointer, message=each.message) for each in problems]
        return cls.of(row, upcoming=upcoming, problems=told)


class SchedulePage(Page[ScheduleItem]):
    pass


class ScheduleDeleted(Answer):
    schedule_id: str


class RunView(Answer):
    """What became of one time that a schedule was due."""

    due_at: datetime
    outcome: Outcome
    execution_id: str | None
    problem: str | None

    @classmethod
    def of(cls, row: FlowScheduleRunRow) -> Self:
        return cls(due_at=row.due_at, outcome=row.outcome, execution_id=row.execution_id, problem=row.problem)


class RunPage(Page[RunView]):
    pass

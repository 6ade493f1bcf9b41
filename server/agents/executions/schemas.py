"""What the room reads and answers. Money is a decimal in the API, and whole millionths inside."""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field

from server.openapi.instant import Instant
from server.openapi.models import Answer, JsonBody
from server.openapi.pagination import Page, PageQuery
from stores.sql.models import ExecutionRow, ExecutionState, ExecutionStepRow, ExecutionWaitRow

State = Literal["queued", "running", "waiting", "completed", "failed", "cancelled", "expired", "budget_exhausted"]
OVER = frozenset({"completed", "failed", "cancelled", "expired", "budget_exhausted"})
_MICROS = 1_000_000
_MOST_COST = 1_000_000_000.0
_LONGEST_DEADLINE_SECONDS = 90 * 24 * 3600


def _finite(value: float) -> float:
    if value != value:
        raise ValueError("Input should be a number")
    return value


Cost = Annotated[float, Field(ge=0, le=_MOST_COST), AfterValidator(_finite)]


def micros_of(cost: float | None) -> int | None:
    return None if cost is None else int((Decimal(str(cost)) * _MICROS).to_integral_value())


class ExecuteBody(JsonBody):
    flow_id: str = Field(max_length=255)
    input: Any = Field(default_factory=dict, description="What `input` is in the flow's templates.")
    context: dict[str, Any] = Field(default_factory=dict, description="What `context` is in them.")
    version: int | None = Field(
        None, ge=1, le=2**31 - 1, description="Which version of the flow. Without it, the published one."
    )
    mode: Literal["wait", "background", "stream"] = Field(
        "wait",
        description="wait: the answer comes when the execution is over, or as 202 if that takes too long."
        " stream: as server-sent events, from the first on.",
    )
    max_cost: Cost | None = Field(None, description="What it may spend at most.")
    deadline_seconds: float | None = Field(
        None, gt=0, le=_LONGEST_DEADLINE_SECONDS, description="After so long it has expired."
    )
    on_budget: Literal["pause", "fail"] = Field("pause", description="What happens when `max_cost` is used up.")


class ResumeBody(JsonBody):
    version: Literal["pinned", "latest"] = Field(
        "pinned", description="pinned: the version it ran so far; latest: the one that runs when nobody names one."
    )
    max_cost: Cost | None = Field(None, description="What it may spend from now on, together with what it has spent.")
    deadline_seconds: float | None = Field(
        None, gt=0, le=_LONGEST_DEADLINE_SECONDS, description="A new deadline, from now. Without it there is none."
    )


class Patch(JsonBody):
    """What is different in a fork. All that runs anew sees it."""

    input: Any = None
    context: dict[str, Any] | None = None
    outputs: dict[str, Any] = Field(
        default_factory=dict, description="Other outputs for nodes that are reused, by their ids."
    )


class ForkBody(JsonBody):
    from_node: str | None = Field(
        None, max_length=255, description="This node and all behind it run anew. Without it, everything does."
    )
    patch: Patch = Patch()
    version: Literal["pinned", "latest"] | Annotated[int, Field(ge=1, le=2**31 - 1)] = Field(
        "pinned", description="pinned: the version of the original; latest; or a number."
    )
    max_cost: Cost | None = None


class SignalBody(JsonBody):
    name: str = Field(min_length=1, max_length=255)
    payload: Any = None


class RespondBody(JsonBody):
    path: str | None = Field(
        None, max_length=4096, description="Which node is answered, where the execution waits for several."
    )
    answer: Any


class Failure(Answer):
    code: str
    message: str
    path: str | None = Field(None, description="The node that failed.")


class UsageView(Answer):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0
    cost: float = 0.0

    @classmethod
    def of(cls, text: str | None) -> Self:
        used = json.loads(text) if text else {}
        return cls(
            prompt_tokens=used.get("prompt_tokens", 0),
            completion_tokens=used.get("completion_tokens", 0),
            calls=used.get("calls", 0),
            cost=used.get("cost_micros", 0) / _MICROS,
        )


class WaitView(Answer):
    """What an execution waits for."""

    path: str
    kind: str
    name: str
    prompt: Any = None
    json_schema: dict[str, Any] | None = Field(None, description="What an answer has to look like.")
    requested_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, row: ExecutionWaitRow) -> Self:
        asked = json.loads(row.schema) if row.schema else {}
        return cls(
            path=row.path,
            kind=row.kind,
            name=row.name,
            prompt=asked.get("prompt"),
            json_schema=asked.get("schema"),
            requested_at=row.requested_at,
            expires_at=row.expires_at,
        )


class OutputChange(Answer):
    node: str
    before: Any
    after: Any


class ForkReceipt(Answer):
    """What a fork did not have to do again."""

    from_execution_id: str
    from_node: str | None
    reused_nodes: list[str]
    cost_saved: float
    output_changes: list[OutputChange] | None = Field(
        description="The nodes whose outputs are different, once the fork is over."
    )


class ExecutionItem(Answer):
    execution_id: str
    flow_id: str
    version: int
    status: State
    mode: str
    usage: UsageView
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @classmethod
    def of(cls, row: ExecutionRow) -> Self:
        return cls(**_common(row))


class ExecutionView(ExecutionItem):
    result: Any
    error: Failure | None
    max_cost: float | None
    on_budget: str
    deadline_at: datetime | None
    last_seq: int = Field(description="The number of its last event.")
    waits: list[WaitView]
    fork: ForkReceipt | None
    created_by: str

    @classmethod
    def whole(cls, row: ExecutionRow, waits: Sequence[ExecutionWaitRow], fork: ForkReceipt | None) -> Self:
        return cls(
            **_common(row),
            result=json.loads(row.result) if row.result is not None else None,
            error=Failure(**json.loads(row.error)) if row.error else None,
            max_cost=None if row.max_cost_micros is None else row.max_cost_micros / _MICROS,
            on_budget=row.on_budget,
            deadline_at=row.deadline_at,
            last_seq=row.last_seq,
            waits=[WaitView.of(wait) for wait in waits],
            fork=fork,
            created_by=row.created_by,
        )


def _common(row: ExecutionRow) -> dict[str, Any]:
    return {
        "execution_id": row.id,
        "flow_id": row.flow_id,
        "version": row.flow_version,
        "status": ExecutionState(row.state).value,
        "mode": row.mode,
        "usage": UsageView.of(row.usage),
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }


class ExecutionPage(Page[ExecutionItem]):
    pass


class ExecutionsQuery(PageQuery):
    flow_id: str | None = Field(None, max_length=255, description="The executions of one flow.")
    status: State | None = None
    created_since: Instant | None = Field(None, description="Only those made at this moment or later.")
    created_until: Instant | None = Field(None, description="Only those made before this moment.")


class StepView(Answer):
    """One attempt at one node."""

    number: int
    path: str = Field(description="Where it ran: `triage`, or `each/3/classify` inside of others.")
    node_id: str
    type: str
    attempt: int
    status: Literal["running", "waiting", "completed", "failed", "skipped", "cancelled"]
    port: str | None
    output: Any
    error: Failure | None
    usage: UsageView
    started_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: ExecutionStepRow, output: str | None) -> Self:
        error = json.loads(row.error) if row.error else None
        return cls(
            number=row.number,
            path=row.path,
            node_id=row.node_id,
            type=row.node_type,
            attempt=row.attempt,
            status=row.state,
            port=row.port,
            output=json.loads(output) if output is not None else None,
            error=Failure(code=error["code"], message=error["message"]) if error else None,
            usage=UsageView.of(row.usage),
            started_at=row.started_at,
            finished_at=row.finished_at,
        )


class StepPage(Page[StepView]):
    pass


class StepsQuery(PageQuery):
    pass


class Signalled(Answer):
    execution_id: str
    name: str
    taken: bool = Field(description="Whether a node waited for it. If not, the first that will takes it.")

"""One attempt at one node, as its node type sees it."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.errors import CodexError, LeaseLost
from core.ids import TenantId
from server.agents.executor.containers import subflow_of_step
from server.agents.executor.journal import Answer, Begun
from server.agents.executor.run import BudgetExhausted, FlowFailed, OutOfBudget, Run, fault_of
from server.agents.flow.definition import Json
from server.agents.nodes.base import Called, NodeFailed, SecretReference

if TYPE_CHECKING:
    from server.agents.executor.frame import Frame


class RunningStep:
    """See `server.agents.nodes.base.Step`."""

    __slots__ = ("_answer", "_begun", "_frame", "_run", "_scope", "config", "inputs")

    def __init__(
        self,
        frame: "Frame",
        begun: Begun,
        config: Any,
        inputs: Sequence[Json],
        scope: Mapping[str, Json] | None,
        answer: Answer | None,
    ) -> None:
        self._frame = frame
        self._run: Run = frame.run
        self._begun = begun
        self._scope = scope
        self._answer = answer
        self.config = config
        self.inputs = inputs

    @property
    def tenant_id(self) -> TenantId:
        return self._run.tenant_id

    @property
    def execution_id(self) -> str:
        return self._run.execution_id

    @property
    def path(self) -> str:
        return self._begun.path

    @property
    def attempt(self) -> int:
        return self._begun.attempt

    @property
    def scope(self) -> Mapping[str, Json]:
        if self._scope is None:
            self._scope = self._frame.scope_at(self._begun.node.id)
        return self._scope

    @property
    def effect_key(self) -> str:
        return self._key("")

    @property
    def answer(self) -> Json:
        return None if self._answer is None else self._answer.payload

    @property
    def has_waited(self) -> bool:
        return self._answer is not None

    @property
    def wait_expired(self) -> bool:
        return self._answer is not None and self._answer.expired

    async def call(
        self, name: str, ask: Callable[[str], Awaitable[Called]], *, reserve_micros: int | None = None
    ) -> Json:
        """`reserve_micros`: the most that it may cost, where that is known before."""
        run = self._run
        known = run.journal.called(self.path, name)
        if known is not None:
            return known.result
        reserved = run.budget.reserve(reserve_micros)
        if reserved is None:
            raise OutOfBudget if run.on_budget == "pause" else BudgetExhausted
        called = None
        try:
            await run.journal.settled()
            called = await ask(self._key(name))
            return run.journal.call(self._begun, name, called)
        finally:
            run.budget.settle(reserved, 0 if called is None else called.usage.cost_micros)

    def tell(self, delta: str) -> None:
        if delta:
            self._run.journal.tell(self._begun, delta)

    async def secret(self, reference: SecretReference, host: str) -> str:
        try:
            value = await self._run.secrets.value(reference.key, host)
        except (NodeFailed, LeaseLost):
            raise
        except CodexError as error:
            fault = fault_of(error)
            raise NodeFailed(fault.message, code=fault.code) from error
        self._run.journal.conceal(value)
        return value

    async def subflow(self, flow_id: str, version: int | None, input: Json, name: str = "") -> Json:
        try:
            return await subflow_of_step(self._frame, self._begun, flow_id, version, input, name)
        except FlowFailed as error:
            raise NodeFailed(error.fault.message, code=error.fault.code) from error

    def _key(self, name: str) -> str:
        parts = (self._run.execution_id, self._begun.path, name)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()

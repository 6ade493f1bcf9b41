"""The ledger: all that workers read and write of executions, each a transaction of its own."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial

from core.clock import Clock
from core.events import EventType
from core.ids import TenantId
from server.agents.flow.definition import Json
from server.agents.worker import repository
from server.agents.worker.claimed import Batch, Claimed, Written
from server.agents.worker.history import Rows
from stores.outbox import Outbox
from stores.sql.engine import Database, Reader, Writer

_UNTELLABLE = re.compile("[\x00\ud800-\udfff]")
_TOLD = {
    "completed": EventType.AGENT_EXECUTION_COMPLETED,
    "failed": EventType.AGENT_EXECUTION_FAILED,
    "expired": EventType.AGENT_EXECUTION_FAILED,
    "budget_exhausted": EventType.AGENT_EXECUTION_FAILED,
}


class Ledger:
    """Any number of workers may share it. Every method raises ServiceUnavailable while the database does not answer."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        outbox: Outbox,
        *,
        lease: timedelta,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._clock = clock
        self._outbox = outbox
        self.lease = lease
        self._dice = dice

    async def claim(self, *, owner: str, room: int, per_tenant: int) -> list[Claimed]:
        """Take up to `room` executions that are due, no tenant's beyond `per_tenant` at once in all processes."""
        if not await self._database.read(self._any_due):
            return []
        return await self._database.write(lambda writer: self._claim(writer, owner, room, per_tenant))

    def _any_due(self, reader: Reader) -> bool:
        return repository.any_due(reader, self._clock.now())

    def _claim(self, writer: Writer, owner: str, room: int, per_tenant: int) -> list[Claimed]:
        now = self._clock.now()
        until = now + self.lease
        return repository.claim(
            writer, now=now, until=until, owner=owner, room=room, per_tenant=per_tenant, dice=self._dice
        )

    async def renew(self, fences: Mapping[str, int]) -> None:
        """Hold these, by id and fence, for a whole lease from now on."""
        until = self._clock.now() + self.lease
        await self._database.write(lambda writer: repository.renew(writer, fences, until))

    async def hand_back(self, fences: Mapping[str, int]) -> None:
        """Let others take these at once."""
        await self._database.write(lambda writer: repository.hand_back(writer, fences, self._clock.now()))

    async def standing(self, execution_ids: Sequence[str]) -> dict[str, tuple[int, bool]]:
        """Return the fence of each that is running, and whether somebody wants it cancelled."""
        return await self._database.read(lambda reader: repository.standing(reader, execution_ids))

    async def rows(self, execution_id: str) -> Rows:
        """Return what is committed of an execution's journal."""
        return await self._database.read(partial(repository.rows_of, execution_id=execution_id))

    async def definition(self, tenant_id: TenantId, flow_id: str, number: int) -> str | None:
        """Return what a version of a flow does, as JSON."""
        return await self._database.read(
            partial(repository.definition_of, tenant_id=tenant_id, flow_id=flow_id, number=number)
        )

    async def current_version(self, tenant_id: TenantId, flow_id: str) -> int | None:
        """Return the version that runs when nobody names one."""
        return await self._database.read(partial(repository.current_version, tenant_id=tenant_id, flow_id=flow_id))

    async def write(self, batches: Sequence[Batch]) -> list[Written]:
        """Write down what was noted of each execution that is still its worker's, and tell the outbox."""
        return await self._database.write(
            lambda writer: repository.write(writer, batches, self._clock.now(), self._tell)
        )

    def _tell(self, writer: Writer, batch: Batch) -> None:
        claimed = batch.claimed
        about: dict[str, Json] = {"execution_id": claimed.id, "flow_id": claimed.flow_id}
        if batch.started:
            told = about | {"status": "running"}
            self._outbox.append(writer, claimed.tenant_id, EventType.AGENT_EXECUTION_STARTED, told, subject=claimed.id)
        if batch.ended is not None and batch.ended.state in _TOLD:
            told = about | {name: _tellable(value) for name, value in (batch.ended.told or {}).items()}
            self._outbox.append(writer, claimed.tenant_id, _TOLD[batch.ended.state], told, subject=claimed.id)


def _tellable(value: Json) -> Json:
    """Return a result as every receiver can read it: PostgreSQL keeps no NUL in JSON, and UTF-8 has no lone halves."""
    if isinstance(value, str):
        return _UNTELLABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_tellable(each) for each in value]
    if isinstance(value, dict):
        return {_UNTELLABLE.sub("\ufffd", name): _tellable(each) for name, each in value.items()}
    return value

"""Deliveries that are due: taken under a lease, and judged when their attempt is over."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from core.clock import Clock
from core.events import EventType
from core.ids import TenantId
from core.log import get_logger
from server.webhooks.dispatch import repository
from server.webhooks.dispatch.delivery import Claimed, Ended
from server.webhooks.schedule import DISABLED_AFTER, delay_after, rest_after
from stores.outbox import Outbox
from stores.sql.engine import Database, Reader, Writer
from stores.sql.models import DeliveryState, WebhookEndpointRow

log = get_logger()

GONE = "gone"
FAILING = "failing"


class Deliveries:
    """Any number of dispatchers may share them."""

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
        self._lease = lease
        self._dice = dice

    async def claim(self, *, limit: int, per_endpoint: int, under_way: Counter[str]) -> list[Claimed]:
        """Take up to `limit` deliveries that are due, no endpoint's beyond `per_endpoint` at once.

        `under_way` counts what the caller has of each endpoint already. Endpoints take turns by lot, so that the
        backlog of one is in nobody's way.
        """
        if not await self._database.read(self.any_due):
            return []
        return await self._database.write(
            lambda writer: self.take(writer, limit=limit, per_endpoint=per_endpoint, under_way=under_way)
        )

    def any_due(self, reader: Reader) -> bool:
        """Whether there may be something to claim."""
        return bool(repository.endpoints_with_due_deliveries(reader, self._clock.now()))

    def take(self, writer: Writer, *, limit: int, per_endpoint: int, under_way: Mapping[str, int]) -> list[Claimed]:
        """Claim as a part of a transaction."""
        now = self._clock.now()
        due = repository.endpoints_with_due_deliveries(writer, now)
        ready = [endpoint_id for endpoint_id in due if under_way.get(endpoint_id, 0) < per_endpoint]
        ready.sort(key=lambda _: self._dice())
        share = max(1, limit // max(1, len(ready)))
        claimed: list[Claimed] = []
        for endpoint_id in ready:
            busy = under_way.get(endpoint_id, 0)
            room = min(per_endpoint - busy, limit - len(claimed), share)
            if room > 0:
                claimed += self._take(writer, endpoint_id, room, now, alone=busy == 0)
        repository.lease_out(writer, claimed, now + self._lease)
        return claimed

    def _take(self, writer: Writer, endpoint_id: str, room: int, now: datetime, *, alone: bool) -> list[Claimed]:
        endpoint = repository.endpoint(writer, endpoint_id)
        if endpoint is None or endpoint.disabled_at is not None:
            return []
        if endpoint.failures_in_a_row:
            # One is let through to see whether it has recovered: more would hold places that others could use.
            return repository.due(writer, endpoint, now, 1) if alone else []
        return repository.due(writer, endpoint, now, room)

    async def finish(self, attempts: Sequence[Ended]) -> int:
        """Write down how attempts ended, and what follows; return how many were still their dispatcher's to end."""
        return await self._database.write(lambda writer: self.end(writer, attempts))

    def end(self, writer: Writer, attempts: Sequence[Ended]) -> int:
        """Finish as a part of a transaction.

        An attempt that outlived its lease was begun anew by another dispatcher, whose word counts.
        """
        now = self._clock.now()
        held = repository.held(writer, attempts)
        ended = [attempt for attempt in attempts if held.get(attempt.claimed.id) == attempt.claimed.fence]
        if ended:
            repository.write_down(writer, ended, [self._outcome(attempt, now) for attempt in ended])
        for endpoint_id, of_it in _by_endpoint(ended).items():
            self._judge(writer, endpoint_id, of_it, now)
        return len(ended)

    def _outcome(self, attempt: Ended, now: datetime) -> Mapping[str, Any]:
        if attempt.succeeded:
            return {"state": DeliveryState.SUCCEEDED, "available_at": now, "finished_at": now}
        delay = delay_after(attempt.claimed.attempt, dice=self._dice, retry_after=attempt.retry_after)
        if delay is None:
            return {"state": DeliveryState.FAILED, "available_at": now, "finished_at": now}
        return {"state": DeliveryState.PENDING, "available_at": now + delay, "finished_at": None}

    def _judge(self, writer: Writer, endpoint_id: str, attempts: Sequence[Ended], now: datetime) -> None:
        endpoint = repository.endpoint(writer, endpoint_id, to_change=True)
        if endpoint is None:
            return
        for attempt in attempts:
            if attempt.succeeded:
                endpoint.failures_in_a_row, endpoint.failing_since, endpoint.rests_until = 0, None, None
                continue
            endpoint.failures_in_a_row += 1
            endpoint.failing_since = endpoint.failing_since or attempt.started_at
            rest = rest_after(endpoint.failures_in_a_row)
            endpoint.rests_until = None if rest is None else now + rest
        if endpoint.disabled_at is not None:
            return
        if any(attempt.is_gone for attempt in attempts):
            self._disable(writer, endpoint, GONE, now)
        elif endpoint.failing_since is not None and now - endpoint.failing_since >= DISABLED_AFTER:
            self._disable(writer, endpoint, FAILING, now)

    def _disable(self, writer: Writer, endpoint: WebhookEndpointRow, reason: str, now: datetime) -> None:
        endpoint.disabled_at, endpoint.disabled_reason = now, reason
        endpoint.version += 1
        endpoint.updated_at = now
        told = {"endpoint_id": endpoint.id, "url": endpoint.url, "reason": reason}
        self._outbox.append(
            writer, TenantId(endpoint.tenant_id), EventType.WEBHOOK_ENDPOINT_DISABLED, told, subject=endpoint.id
        )
        log.warning("webhook.endpoint_disabled", endpoint=endpoint.id, reason=reason)


def _by_endpoint(attempts: Sequence[Ended]) -> Mapping[str, list[Ended]]:
    grouped: dict[str, list[Ended]] = {}
    for attempt in attempts:
        grouped.setdefault(attempt.claimed.recipient.endpoint_id, []).append(attempt)
    return grouped

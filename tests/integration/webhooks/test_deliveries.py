"""What is due is taken by one, what failed comes back in time, and what is over is written down once."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from core.clock import FrozenClock
from core.events import EventType
from core.ids import TenantId, new_id
from server.webhooks.dispatch.delivery import Claimed, Ended
from server.webhooks.dispatch.service import Deliveries
from server.webhooks.relay.service import Relay
from server.webhooks.schedule import DELAYS, FAILURES_TO_REST, MOST_ATTEMPTS
from stores.outbox import Outbox
from stores.sql.engine import Database
from stores.sql.models import OutboxRow, WebhookAttemptRow, WebhookDeliveryRow, WebhookEndpointRow
from tests.factories.webhooks import add_endpoint, add_tenant, tell

LEASE = timedelta(seconds=45)
_TYPE = EventType.RAG_DOCUMENT_INDEXED


class Told:
    """Events committed and handed out, and the deliveries that come of them, with a clock that waits for nobody."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FrozenClock()
        self.outbox = Outbox(self.clock)
        self.relay = Relay(database=database, clock=self.clock, new_id=new_id)
        self.deliveries = Deliveries(database, self.clock, self.outbox, lease=LEASE, dice=lambda: 0.5)

    async def tell(self, tenant_id: TenantId, count: int = 1, subject: str | None = None) -> None:
        for number in range(count):
            await tell(self.database, tenant_id, self.outbox, {"number": number}, subject)
        await self.relay.hand_out()

    async def claim(self, limit: int = 100, per_endpoint: int = 100, **under_way: int) -> list[Claimed]:
        return await self.deliveries.claim(limit=limit, per_endpoint=per_endpoint, under_way=Counter(under_way))

    async def end(self, claimed: Sequence[Claimed], status: int | None, **how: timedelta) -> int:
        error = None if status else "Nobody answers."
        return await self.deliveries.finish(
            [
                Ended(
                    claimed=each,
                    started_at=self.clock.now(),
                    milliseconds=3,
                    status=status,
                    error=error,
                    retry_after=how.get("retry_after"),
                )
                for each in claimed
            ]
        )

    async def endpoint(self, endpoint_id: str) -> WebhookEndpointRow:
        async with self.database.reading() as session:
            return await session.get_one(WebhookEndpointRow, endpoint_id)

    async def states(self) -> list[str]:
        async with self.database.reading() as session:
            found = await session.scalars(select(WebhookDeliveryRow.state).order_by(WebhookDeliveryRow.id))
            return list(found)


@pytest.fixture
def told(database: Database) -> Told:
    return Told(database)


async def test_each_tenant_counts_its_events_without_a_gap(told: Told, tenant_id: TenantId) -> None:
    """Also when what came between them was rolled back."""
    other = await add_tenant(told.database)
    for _ in range(3):
        await told.tell(tenant_id, 2)
        await told.tell(other)
        with pytest.raises(ZeroDivisionError):
            async with told.database.transaction() as session:
                told.outbox.append(session, tenant_id, _TYPE, {})
                await session.flush()
                raise ZeroDivisionError
    async with told.database.reading() as session:
        rows = await session.execute(select(OutboxRow.tenant_id, OutboxRow.number).order_by(OutboxRow.sequence))
        numbers: dict[str, list[int | None]] = {}
        for of_tenant, number in rows:
            numbers.setdefault(of_tenant, []).append(number)
    assert numbers == {tenant_id: [1, 2, 3, 4, 5, 6], other: [1, 2, 3]}


async def test_an_endpoint_is_told_of_its_own_tenants_events_and_of_the_types_it_wants(
    told: Told, tenant_id: TenantId
) -> None:
    """Neither of another tenant's, nor of other types, nor while it is disabled."""
    other = await add_tenant(told.database)
    wanting = await add_endpoint(told.database, tenant_id, "https://a.example", event_types=["rag.document.indexed"])
    await add_endpoint(told.database, tenant_id, "https://b.example", event_types=["rag.document.failed"])
    await add_endpoint(told.database, tenant_id, "https://c.example", disabled_at=told.clock.now())
    await add_endpoint(told.database, other, "https://d.example")
    await told.tell(tenant_id)
    assert [claimed.recipient.endpoint_id for claimed in await told.claim()] == [wanting]


async def test_what_is_claimed_is_nobody_elses_until_its_lease_ends(told: Told, tenant_id: TenantId) -> None:
    """Then it is told again: the same bytes under the same id. The first one's word does not count any more."""
    await add_endpoint(told.database, tenant_id, "https://a.example")
    await told.tell(tenant_id)
    [first] = await told.claim()
    assert await told.claim() == []
    told.clock.advance(LEASE)
    [second] = await told.claim()
    assert (second.id, second.event_id, second.body) == (first.id, first.event_id, first.body)
    assert await told.end([first], 500) == 0
    assert await told.end([second], 200) == 1
    assert await told.end([second], 500) == 0
    assert await told.states() == ["succeeded"]


async def test_a_delivery_that_fails_is_tried_ten_times_over_three_days(told: Told, tenant_id: TenantId) -> None:
    """Each attempt when its delay is over and not before; then it has failed, with every attempt written down."""
    await add_endpoint(told.database, tenant_id, "https://a.example")
    await told.tell(tenant_id)
    for delay in (*DELAYS, None):
        await _rested(told)
        [claimed] = await told.claim()
        assert await told.end([claimed], 500) == 1
        if delay is not None:
            told.clock.advance(delay - timedelta(seconds=1))
            assert await told.claim() == []
            told.clock.advance(timedelta(seconds=1))
    assert await told.states() == ["failed"]
    async with told.database.reading() as session:
        attempts = (await session.scalars(select(WebhookAttemptRow).order_by(WebhookAttemptRow.number))).all()
    assert [(each.number, each.status_code) for each in attempts] == [(n, 500) for n in range(1, MOST_ATTEMPTS + 1)]


async def _rested(told: Told) -> None:
    async with told.database.transaction() as session:
        for endpoint in await session.scalars(select(WebhookEndpointRow)):
            endpoint.rests_until, endpoint.failures_in_a_row, endpoint.failing_since = None, 0, None


async def test_an_endpoint_that_asks_for_time_gets_it(told: Told, tenant_id: TenantId) -> None:
    """Retry-After moves the next attempt back, and never forward."""
    await add_endpoint(told.database, tenant_id, "https://a.example")
    await told.tell(tenant_id)
    await told.end(await told.claim(), 503, retry_after=timedelta(seconds=90))
    told.clock.advance(timedelta(seconds=89))
    assert await told.claim() == []
    told.clock.advance(timedelta(seconds=1))
    [claimed] = await told.claim()
    await told.end([claimed], 503, retry_after=timedelta(seconds=1))
    told.clock.advance(DELAYS[1] - timedelta(seconds=1))
    assert await told.claim() == []


async def test_an_endpoint_that_keeps_failing_rests_and_is_then_tried_with_one(told: Told, tenant_id: TenantId) -> None:
    """No attempt is spent on it meanwhile; a success lets all of them through again."""
    endpoint_id = await add_endpoint(told.database, tenant_id, "https://a.example")
    await told.tell(tenant_id, 20)
    await told.end((await told.claim())[:FAILURES_TO_REST], None)
    told.clock.advance(LEASE)
    [probe] = await told.claim()
    assert await told.claim(**{endpoint_id: 1}) == []
    await told.end([probe], 200)
    told.clock.advance(LEASE)
    assert len(await told.claim()) == 19


async def test_an_endpoint_that_is_gone_is_disabled_at_once_and_said_so(told: Told, tenant_id: TenantId) -> None:
    """410 means never again; what waits for it waits, and the tenant's other endpoints are told of it."""
    endpoint_id = await add_endpoint(
        told.database, tenant_id, "https://a.example", event_types=["rag.document.indexed"]
    )
    watching = await add_endpoint(
        told.database, tenant_id, "https://b.example", event_types=["webhook.endpoint.disabled"]
    )
    await told.tell(tenant_id, 3)
    await told.end((await told.claim())[:1], 410)
    assert (await told.endpoint(endpoint_id)).disabled_reason == "gone"
    await told.relay.hand_out()
    told.clock.advance(LEASE)
    [claimed] = await told.claim()
    assert claimed.recipient.endpoint_id == watching
    assert f'"endpoint_id":"{endpoint_id}"'.encode() in claimed.body


async def test_an_endpoint_that_failed_for_five_days_is_disabled(told: Told, tenant_id: TenantId) -> None:
    """One success in between, and the days are counted anew."""
    endpoint_id = await add_endpoint(told.database, tenant_id, "https://a.example")
    await told.tell(tenant_id, 10)
    await told.end((await told.claim(limit=1)), 500)
    for days, status in ((3, 200), (3, 500), (4, 500)):
        told.clock.advance(timedelta(days=days))
        await told.end(await told.claim(limit=1), status)
        assert (await told.endpoint(endpoint_id)).disabled_at is None
    told.clock.advance(timedelta(days=1))
    await told.end(await told.claim(limit=1), 500)
    assert (await told.endpoint(endpoint_id)).disabled_reason == "failing"


async def test_a_backlog_of_one_endpoint_is_not_in_the_way_of_another(told: Told, tenant_id: TenantId) -> None:
    """A hundred deliveries that came first, and one that came last: it is among the first sixteen taken."""
    crowded = await add_endpoint(told.database, tenant_id, "https://a.example", event_types=["rag.document.indexed"])
    await told.tell(tenant_id, 100)
    told.clock.advance(timedelta(seconds=1))
    quiet = await add_endpoint(told.database, tenant_id, "https://b.example")
    await told.tell(tenant_id, 1)
    claimed = Counter(each.recipient.endpoint_id for each in await told.claim(limit=16, per_endpoint=8))
    assert claimed == {crowded: 8, quiet: 1}


async def test_an_ordered_endpoint_is_told_of_one_subject_one_by_one(told: Told, tenant_id: TenantId) -> None:
    """What comes later waits until the earlier one has arrived or failed for good; other subjects do not wait."""
    await add_endpoint(told.database, tenant_id, "https://a.example", ordered=True)
    for subject in ("a", "a", "b", "a", None, None):
        await told.tell(tenant_id, 1, subject)
    first = await told.claim()
    assert len(first) == 4
    await told.end(first[:1], 500)
    await told.end(first[1:], 200)
    assert await told.claim() == []
    told.clock.advance(DELAYS[0])
    again = await told.claim()
    assert [each.id for each in again] == [first[0].id]
    await told.end(again, 200)
    [second] = await told.claim()
    await told.end([second], 200)
    [third] = await told.claim()
    assert first[0].id < second.id < third.id

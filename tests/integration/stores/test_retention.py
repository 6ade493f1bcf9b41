"""What is over goes, what is not stays, on both databases."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from core.clock import FrozenClock
from core.ids import TenantId, new_id
from server.webhooks.dispatch.delivery import Ended
from server.webhooks.dispatch.service import Deliveries
from server.webhooks.relay.service import Relay
from stores.outbox import Outbox
from stores.retention import purge_expired
from stores.sql.engine import Database
from stores.sql.models import (
    Base,
    ExecutionEventRow,
    ExecutionRow,
    IdempotencyRow,
    MailedTokenRow,
    MailRow,
    OutboxRow,
    RefreshTokenRow,
    RevokedTokenRow,
    SessionRow,
    SigningKeyRow,
    SourcePushRow,
    SourceRow,
    UserRow,
    WebhookAttemptRow,
)
from tests.factories.webhooks import add_endpoint, add_tenant, tell

CLOCK = FrozenClock()
NOW = CLOCK.now()
DAY = timedelta(days=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.transaction() as session:
        session.add(UserRow(id="u", email="u", name="u", password_hash="", created_at=NOW, updated_at=NOW))
    yield database
    await database.dispose()


def record(name: str, *, expires_at: datetime, lease_until: datetime = NOW) -> IdempotencyRow:
    return IdempotencyRow(
        identity=name,
        fingerprint="f",
        fence=1,
        lease_until=lease_until,
        headers={},
        created_at=NOW,
        expires_at=expires_at,
    )


def session_row(name: str, *, expires_at: datetime, revoked_at: datetime | None = None) -> SessionRow:
    return SessionRow(id=name, user_id="u", created_at=NOW, expires_at=expires_at, revoked_at=revoked_at)


def token(session: str) -> RefreshTokenRow:
    return RefreshTokenRow(token_hash=session, session_id=session, issued_at=NOW, expires_at=NOW)


def signing_key(name: str, retired_at: datetime | None) -> SigningKeyRow:
    return SigningKeyRow(
        kid=name, public_key="", sealed_private_key=b"", created_at=NOW, signs_from=NOW, retired_at=retired_at
    )


def mail(name: str, expires_at: datetime) -> MailRow:
    return MailRow(
        id=name, kind="k", sealed_content=b"", created_at=NOW, available_at=NOW, expires_at=expires_at, attempts=9
    )


def mailed_token(name: str, expires_at: datetime) -> MailedTokenRow:
    return MailedTokenRow(token_hash=name, purpose="p", subject="s", created_at=NOW, expires_at=expires_at)


def over() -> list[list[Base]]:
    return [
        [
            session_row("expired", expires_at=NOW - 30 * DAY),
            session_row("revoked", expires_at=NOW + DAY, revoked_at=NOW - 30 * DAY),
        ],
        [
            token("expired"),
            token("revoked"),
            record("over", expires_at=NOW),
            RevokedTokenRow(jti="over", revoked_at=NOW, expires_at=NOW),
            signing_key("retired", NOW),
            mail("over", NOW),
            mailed_token("over", NOW),
        ],
    ]


def not_over() -> list[list[Base]]:
    return [
        [
            session_row("lately expired", expires_at=NOW - 29 * DAY),
            session_row("living", expires_at=NOW + DAY),
        ],
        [
            token("lately expired"),
            token("living"),
            record("kept", expires_at=NOW + DAY),
            record("at work", expires_at=NOW, lease_until=NOW + timedelta(seconds=1)),
            RevokedTokenRow(jti="kept", revoked_at=NOW, expires_at=NOW + DAY),
            signing_key("signs", None),
            signing_key("verifies", NOW + DAY),
            mail("waits", NOW + DAY),
            mailed_token("valid", NOW + DAY),
        ],
    ]


TABLES: list[type[Base]] = [
    IdempotencyRow,
    RevokedTokenRow,
    RefreshTokenRow,
    SessionRow,
    SigningKeyRow,
    MailRow,
    MailedTokenRow,
]


async def test_only_what_is_over_is_deleted(database: Database) -> None:
    """Each table loses its rows past their time and keeps those at work, in use or of use to somebody."""
    async with database.transaction() as session:
        for rows in (*over(), *not_over()):
            session.add_all(rows)
            await session.flush()
    assert await purge_expired(database, CLOCK) == {
        "idempotency_records": 1,
        "revoked_tokens": 1,
        "refresh_tokens": 2,
        "sessions": 2,
        "signing_keys": 1,
        "mails": 1,
        "mailed_tokens": 1,
        "rag_source_pushes": 0,
        "executions": 0,
        "webhook_deliveries": 0,
        "outbox": 0,
    }
    async with database.reading() as session:
        left = [await session.scalar(select(func.count()).select_from(table)) for table in TABLES]
    assert left == [2, 1, 2, 2, 2, 1, 1]
    assert sum((await purge_expired(database, CLOCK)).values()) == 0


def execution(tenant_id: TenantId, finished_at: datetime | None, forked_from_id: str | None = None) -> ExecutionRow:
    return ExecutionRow(
        id=new_id(),
        tenant_id=tenant_id,
        flow_id="f",
        flow_version=1,
        state="running" if finished_at is None else "completed",
        mode="wait",
        input="{}",
        context="{}",
        usage="{}",
        cost_micros=0,
        on_budget="pause",
        available_at=NOW,
        fence=1,
        attempts=0,
        resumptions=0,
        last_seq=1,
        created_by="test",
        created_at=NOW - 90 * DAY,
        finished_at=finished_at,
        forked_from_id=forked_from_id,
    )


async def test_executions_go_a_month_after_their_end(database: Database) -> None:
    """What they told goes with them. One that is not over stays however old, and so does what a younger fork is of."""
    tenant_id = await add_tenant(database)
    old, original, lately = (execution(tenant_id, NOW - days * DAY) for days in (30, 60, 29))
    running = execution(tenant_id, None)
    fork = execution(tenant_id, NOW - DAY, forked_from_id=original.id)
    async with database.transaction() as session:
        session.add_all([old, original, lately, running, fork])
        await session.flush()
        for row in (old, lately):
            told = {"type": "execution.started", "data": "{}", "at": NOW}
            session.add(ExecutionEventRow(execution_id=row.id, seq=1, tenant_id=tenant_id, **told))
    assert (await purge_expired(database, CLOCK))["executions"] == 1
    kept = {row[0] for row in await database.rows(select(ExecutionRow.id))}
    assert kept == {original.id, lately.id, running.id, fork.id}
    assert [row[0] for row in await database.rows(select(ExecutionEventRow.execution_id))] == [lately.id]


async def test_events_go_a_month_after_they_were_told_and_their_deliveries_with_them(database: Database) -> None:
    """Nobody was told of an event that has no number yet: it stays, however old. Attempts go with their delivery."""
    clock = FrozenClock()
    tenant_id = await add_tenant(database)
    outbox, relay = Outbox(clock), Relay(database=database, clock=clock, new_id=new_id)
    deliveries = Deliveries(database, clock, outbox, lease=DAY)
    await add_endpoint(database, tenant_id, "https://a.example")
    old = await tell(database, tenant_id, outbox, {})
    await relay.hand_out()
    [claimed] = await deliveries.claim(limit=1, per_endpoint=1, under_way=Counter())
    await deliveries.finish([Ended(claimed=claimed, started_at=clock.now(), milliseconds=1, status=200)])
    untold = await tell(database, tenant_id, outbox, {})
    clock.advance(29 * DAY)
    assert set((await purge_expired(database, clock)).values()) == {0}
    recent = await tell(database, tenant_id, outbox, {})
    clock.advance(DAY)
    purged = await purge_expired(database, clock)
    assert (purged["webhook_deliveries"], purged["outbox"]) == (1, 1)
    kept = await database.rows(select(OutboxRow.id).order_by(OutboxRow.sequence))
    assert [event_id for (event_id,) in kept] == [untold, recent]
    assert old not in {event_id for (event_id,) in kept}
    assert await database.rows(select(WebhookAttemptRow.number)) == []


async def test_more_than_one_transaction_takes_is_deleted_all_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million rows must not keep other writers waiting, and must go."""
    monkeypatch.setattr("stores.retention._AT_ONCE", 3)
    async with database.transaction() as session:
        session.add_all([record(f"r{number}", expires_at=NOW) for number in range(8)])
    assert (await purge_expired(database, CLOCK))["idempotency_records"] == 8


async def test_pushes_are_forgotten_when_nobody_can_send_them_again(database: Database) -> None:
    """GitHub sends again for three days; a week is kept."""
    tenant_id = await add_tenant(database)
    source = SourceRow(
        id="s",
        tenant_id=tenant_id,
        bucket=0,
        name="s",
        type="github",
        location="a/b",
        collection="default",
        user_metadata={},
        chunking={},
        max_delete_fraction=0.2,
        version=1,
        created_at=NOW,
        updated_at=NOW,
    )
    async with database.transaction() as session:
        session.add(source)
        await session.flush()
        for name, days in (("kept", 6), ("over", 7)):
            session.add(
                SourcePushRow(
                    id=name,
                    source_id="s",
                    tenant_id=tenant_id,
                    delivery_id=name,
                    body_sha256=name,
                    received_at=NOW - days * DAY,
                )
            )
    assert (await purge_expired(database, CLOCK))["rag_source_pushes"] == 1
    async with database.reading() as session:
        assert list(await session.scalars(select(SourcePushRow.id))) == ["kept"]

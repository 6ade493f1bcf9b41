"""Rows whose time is over, deleted for good. Nothing here is read any more by anybody."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, CursorResult, and_, delete, exists, inspect, or_, select
from sqlalchemy.orm import aliased

from core.clock import Clock
from stores.sql.engine import Database
from stores.sql.models import (
    Base,
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
    WebhookDeliveryRow,
)

# A session stays listed for a while after its end, so that its owner can see why it ended.
_ENDED_SESSIONS_KEPT_FOR = timedelta(days=30)
# So long a cursor may stay behind, and a delivery be looked at and replayed.
_EVENTS_KEPT_FOR = timedelta(days=30)
# GitHub sends again what is not older than three days.
_PUSHES_KEPT_FOR = timedelta(days=7)
# So long an execution can be looked at, resumed and forked; and its original, if a fork is younger.
_EXECUTIONS_KEPT_FOR = timedelta(days=30)
# Deleted in one transaction, so that other writers get their turn between.
_AT_ONCE = 5_000


async def purge_expired(database: Database, clock: Clock) -> Mapping[str, int]:
    """Delete what is over; return how many rows of each table."""
    now = clock.now()
    return {model.__tablename__: await _delete(database, model, condition) for model, condition in _conditions(now)}


def _conditions(now: datetime) -> list[tuple[type[Base], ColumnElement[bool]]]:
    """Return what is over in each table, those that refer to others first."""
    ended = now - _ENDED_SESSIONS_KEPT_FOR
    ended_sessions = or_(SessionRow.expires_at <= ended, SessionRow.revoked_at <= ended)
    return [
        # An attempt still at work may hold a record whose day is over.
        (IdempotencyRow, and_(IdempotencyRow.expires_at <= now, IdempotencyRow.lease_until <= now)),
        (RevokedTokenRow, RevokedTokenRow.expires_at <= now),
        (RefreshTokenRow, RefreshTokenRow.session_id.in_(select(SessionRow.id).where(ended_sessions))),
        (SessionRow, ended_sessions),
        (SigningKeyRow, SigningKeyRow.retired_at <= now),
        # What could not be sent in its time tells of what is no longer so.
        (MailRow, MailRow.expires_at <= now),
        (MailedTokenRow, MailedTokenRow.expires_at <= now),
        (SourcePushRow, SourcePushRow.received_at <= now - _PUSHES_KEPT_FOR),
        (ExecutionRow, _executions_over(now - _EXECUTIONS_KEPT_FOR)),
        (WebhookDeliveryRow, WebhookDeliveryRow.created_at <= now - _EVENTS_KEPT_FOR),
        (OutboxRow, and_(OutboxRow.number.is_not(None), OutboxRow.created_at <= now - _EVENTS_KEPT_FOR)),
    ]


def _executions_over(until: datetime) -> ColumnElement[bool]:
    """Return which executions go, their steps, calls, waits, signals and events with them."""
    fork = aliased(ExecutionRow)
    younger = fork.forked_from_id == ExecutionRow.id, or_(fork.finished_at.is_(None), fork.finished_at > until)
    return and_(ExecutionRow.finished_at <= until, ~exists().where(*younger))


async def _delete(database: Database, model: type[Base], condition: ColumnElement[bool]) -> int:
    [key] = inspect(model).primary_key
    over = delete(model).where(key.in_(select(key).where(condition).limit(_AT_ONCE)))
    deleted = 0
    while True:
        async with database.transaction() as session:
            gone = await session.execute(over.execution_options(synchronize_session=False))
        assert isinstance(gone, CursorResult)
        deleted += int(gone.rowcount)
        if gone.rowcount < _AT_ONCE:
            return deleted

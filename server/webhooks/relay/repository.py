"""The SQL of handing events out. Everything here belongs to one transaction, the caller's."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from server.webhooks.message import body_of, wants
from stores.sql.models import DeliveryState, EventSequenceRow, OutboxRow, WebhookDeliveryRow, WebhookEndpointRow

# Any number will do, as long as nobody else uses it: two relays at once could hand out a subject's events crosswise.
_RELAY_LOCK = 7_041_776

_UNTOLD = select(OutboxRow.sequence).where(OutboxRow.number.is_(None)).limit(1)


def any_untold(session: Session) -> bool:
    """Whether anything waits to be handed out; looking takes no lock from those who write."""
    return session.execute(_UNTOLD).first() is not None


def untold(session: Session, limit: int) -> Sequence[OutboxRow]:
    """Return the oldest events that were not handed out, for nobody else to hand out meanwhile."""
    if not _is_sqlite(session):  # SQLite has but one writer
        session.execute(select(func.pg_advisory_xact_lock(_RELAY_LOCK)))
    query = select(OutboxRow).where(OutboxRow.number.is_(None)).order_by(OutboxRow.sequence).limit(limit)
    return session.scalars(query).all()


def number(session: Session, events: Sequence[OutboxRow]) -> None:
    """Give each tenant's events the next numbers of its log."""
    tenants = {event.tenant_id for event in events}
    known = session.execute(
        select(EventSequenceRow.tenant_id, EventSequenceRow.last).where(EventSequenceRow.tenant_id.in_(tenants))
    )
    last: dict[str, int] = dict.fromkeys(tenants, 0) | dict(known.all())
    numbered = []
    for event in events:
        last[event.tenant_id] += 1
        numbered.append({"told": event.sequence, "given": last[event.tenant_id]})
    telling = update(OutboxRow).where(OutboxRow.sequence == bindparam("told")).values(number=bindparam("given"))
    connection = session.connection()
    connection.execute(telling, numbered)
    counting = (sqlite.insert if _is_sqlite(session) else postgresql.insert)(EventSequenceRow)
    counting = counting.on_conflict_do_update(index_elements=["tenant_id"], set_={"last": counting.excluded.last})
    connection.execute(counting, [{"tenant_id": tenant, "last": count} for tenant, count in last.items()])


def address(session: Session, events: Sequence[OutboxRow], *, now: datetime, new_id: Callable[[], str]) -> None:
    """Make a delivery of each event for each endpoint of its tenant that wants it."""
    wanting = _endpoints_of(session, {event.tenant_id for event in events})
    deliveries = [
        {
            "id": new_id(),
            "tenant_id": event.tenant_id,
            "endpoint_id": endpoint.id,
            "event_id": event.id,
            "event_type": event.type,
            "copy": 0,
            "subject": event.subject if endpoint.ordered else None,
            "body": body_of(event.id, event.type, event.created_at, event.payload),
            "state": DeliveryState.PENDING,
            "attempts": 0,
            "fence": 0,
            "available_at": now,
            "created_at": now,
            "finished_at": None,
        }
        for event in events
        for endpoint in wanting.get(event.tenant_id, ())
        if wants(endpoint.event_types, event.type)
    ]
    if deliveries:
        session.connection().execute(insert(WebhookDeliveryRow), deliveries)


def _endpoints_of(session: Session, tenants: set[str]) -> Mapping[str, list[Any]]:
    found = session.execute(
        select(
            WebhookEndpointRow.tenant_id,
            WebhookEndpointRow.id,
            WebhookEndpointRow.event_types,
            WebhookEndpointRow.ordered,
        ).where(WebhookEndpointRow.tenant_id.in_(tenants), WebhookEndpointRow.disabled_at.is_(None))
    )
    wanting: dict[str, list[Any]] = {}
    for endpoint in found:
        wanting.setdefault(endpoint.tenant_id, []).append(endpoint)
    return wanting


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"

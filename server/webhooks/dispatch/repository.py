"""The SQL of deliveries: which are due, who holds them, how they ended."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, exists, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from server.webhooks.dispatch.delivery import Claimed, Ended, Recipient
from stores.sql.models import DeliveryState, WebhookAttemptRow, WebhookDeliveryRow, WebhookEndpointRow

_Delivery = WebhookDeliveryRow
_Endpoint = WebhookEndpointRow


def endpoints_with_due_deliveries(session: Session, now: datetime) -> Sequence[str]:
    """Return the endpoints that something is due for, and that neither are disabled nor rest."""
    return session.scalars(_WITH_DUE_DELIVERIES, {"now": now}).all()


def endpoint(session: Session, endpoint_id: str, *, to_change: bool = False) -> WebhookEndpointRow | None:
    # Not its key: a relay that makes a delivery for it meanwhile need not wait.
    return session.get(_Endpoint, endpoint_id, with_for_update={"key_share": True} if to_change else None)


def due(session: Session, endpoint: WebhookEndpointRow, now: datetime, limit: int) -> list[Claimed]:
    """Return up to `limit` deliveries that are due for an endpoint, those first that have been for longest."""
    recipient = Recipient(
        endpoint_id=endpoint.id,
        url=endpoint.url,
        sealed_headers=endpoint.sealed_headers,
        sealed_secret=endpoint.sealed_secret,
        sealed_previous_secret=endpoint.sealed_previous_secret,
        secret_rotated_at=endpoint.secret_rotated_at,
    )
    found = session.execute(_due(endpoint, now).limit(limit).with_for_update(skip_locked=True))
    return [
        Claimed(
            id=row.id,
            tenant_id=row.tenant_id,
            event_id=row.event_id,
            body=row.body.encode("ascii"),
            attempt=row.attempts + 1,
            fence=row.fence + 1,
            recipient=recipient,
        )
        for row in found
    ]


def lease_out(session: Session, claimed: Sequence[Claimed], until: datetime) -> None:
    """Note that these are held until then, by whoever can show their fences."""
    if claimed:
        taken = [{"taken": each.id, "new_fence": each.fence, "until": until} for each in claimed]
        session.connection().execute(_LEASING, taken)


def held(session: Session, attempts: Sequence[Ended]) -> Mapping[str, int]:
    """Return the fences that count now, of those deliveries that are not over."""
    ids = [attempt.claimed.id for attempt in attempts]
    found = session.execute(
        select(_Delivery.id, _Delivery.fence)
        .where(_Delivery.id.in_(ids), _Delivery.state == DeliveryState.PENDING.value)
        .with_for_update()
    )
    return dict(found.all())


def write_down(session: Session, attempts: Sequence[Ended], outcomes: Sequence[Mapping[str, Any]]) -> None:
    """Write down attempts, and what became of each one's delivery: `state`, `available_at`, `finished_at`."""
    connection = session.connection()
    ends = [
        {
            "ended": attempt.claimed.id,
            "made": attempt.claimed.attempt,
            "became": outcome["state"],
            "until": outcome["available_at"],
            "at": outcome["finished_at"],
        }
        for attempt, outcome in zip(attempts, outcomes, strict=True)
    ]
    connection.execute(_ENDING, ends)
    connection.execute(insert(WebhookAttemptRow), [_attempt(attempt) for attempt in attempts])


_WAITS = and_(
    _Delivery.endpoint_id == _Endpoint.id,
    _Delivery.state == DeliveryState.PENDING.value,
    _Delivery.available_at <= bindparam("now"),
)
# A look into the index for each endpoint, however many deliveries wait.
_WITH_DUE_DELIVERIES = select(_Endpoint.id).where(
    _Endpoint.disabled_at.is_(None),
    or_(_Endpoint.rests_until.is_(None), _Endpoint.rests_until <= bindparam("now")),
    exists(select(_Delivery.id).where(_WAITS)),
)
_LEASING = (
    update(_Delivery)
    .where(_Delivery.id == bindparam("taken"))
    .values(fence=bindparam("new_fence"), available_at=bindparam("until"))
)
_ENDING = (
    update(_Delivery)
    .where(_Delivery.id == bindparam("ended"))
    .values(
        state=bindparam("became"),
        attempts=bindparam("made"),
        available_at=bindparam("until"),
        finished_at=bindparam("at"),
    )
)


def _due(endpoint: WebhookEndpointRow, now: datetime) -> Select[str, str, str, str, int, int]:
    due = and_(
        _Delivery.endpoint_id == endpoint.id,
        _Delivery.state == DeliveryState.PENDING.value,
        _Delivery.available_at <= now,
    )
    query = select(
        _Delivery.id, _Delivery.tenant_id, _Delivery.event_id, _Delivery.body, _Delivery.attempts, _Delivery.fence
    )
    query = query.where(due).order_by(_Delivery.available_at, _Delivery.id)
    return query.where(~_behind_another()) if endpoint.ordered else query


def _behind_another() -> Any:
    # An earlier one of the same subject is still on its way; ids sort by the time they were given.
    earlier = aliased(_Delivery)
    return exists(
        select(earlier.id).where(
            earlier.endpoint_id == _Delivery.endpoint_id,
            earlier.subject == _Delivery.subject,
            earlier.subject.is_not(None),
            earlier.state == DeliveryState.PENDING.value,
            earlier.id < _Delivery.id,
        )
    )


def _attempt(attempt: Ended) -> dict[str, Any]:
    return {
        "delivery_id": attempt.claimed.id,
        "number": attempt.claimed.attempt,
        "started_at": attempt.started_at,
        "milliseconds": attempt.milliseconds,
        "status_code": attempt.status,
        "response_body": attempt.response_body,
        "error": attempt.error,
    }

"""Endpoints are kept, their secrets made and changed, and a test sent to one of them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from core.clock import Clock
from core.errors import Conflict, EgressBlocked, ResourceNotFound, ServiceUnavailable
from core.events import EventType
from core.ids import IdSource, is_uuid
from core.log import get_logger
from server.auth.principal import Principal
from server.openapi.pagination import Cursors
from server.openapi.preconditions import demand
from server.webhooks.endpoints.repository import EndpointRepository, page_of
from server.webhooks.endpoints.schemas import (
    EndpointBody,
    EndpointChange,
    EndpointDeleted,
    EndpointMade,
    EndpointPage,
    EndpointsQuery,
    EndpointView,
    TestBody,
    TestSent,
)
from server.webhooks.events.catalogue import example_of
from server.webhooks.message import body_of
from server.webhooks.sealing import Sealing
from server.webhooks.signing import OVERLAP, new_secret
from stores.audit import AuditLog
from stores.egress import Admission, EgressFailed, TimedOut
from stores.outbox import Outbox
from stores.redis import Bell
from stores.sql.engine import Database, Session
from stores.sql.models import DeliveryState, WebhookDeliveryRow, WebhookEndpointRow
from vault.envelope import SealBroken

log = get_logger()

MANUAL = "manual"
# What is sent to try an endpoint out has an id that no event has.
_TEST_ID = "evt_test_"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointService:
    """One a process. `bell` wakes the dispatcher."""

    database: Database
    admission: Admission
    sealing: Sealing
    outbox: Outbox
    bell: Bell
    audit: AuditLog
    clock: Clock
    new_id: IdSource
    cursors: Cursors

    async def create(self, owner: Principal, body: EndpointBody) -> EndpointMade:
        """Keep the endpoint under a new secret. Raises EgressBlocked."""
        await self._admit(body.url)
        endpoint_id, secret, now = self.new_id(), new_secret(), self.clock.now()
        row = WebhookEndpointRow(
            id=endpoint_id,
            tenant_id=owner.tenant_id,
            url=body.url,
            description=body.description,
            event_types=body.event_types,
            ordered=body.ordered,
            sealed_headers=self.sealing.seal_headers(json.dumps(body.headers), endpoint_id),
            sealed_secret=self.sealing.seal_secret(secret, endpoint_id),
            failures_in_a_row=0,
            version=1,
            created_at=now,
            updated_at=now,
        )
        async with self.database.transaction() as session:
            await EndpointRepository(session, owner.tenant_id).add(row)
            await self._log(session, owner, "created", row, event_types=row.event_types)
        return EndpointMade.of(row, list(body.headers), None, secret=secret)

    async def page(self, owner: Principal, query: EndpointsQuery) -> EndpointPage:
        scope = {"tenant_id": owner.tenant_id, "listing": "webhook-endpoints"}
        place = self.cursors.place(query, **scope)
        found = await self.database.read(page_of(owner.tenant_id, place=place, limit=query.limit))
        last = found.rows[-1] if found.more else None
        return EndpointPage(
            items=[self._view(row) for row in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last and self.cursors.next(query, place, found, last=(last.created_at, last.id), **scope),
        )

    async def get(self, owner: Principal, endpoint_id: str) -> EndpointView:
        """Raises ResourceNotFound, as does every method below."""
        async with self.database.reading() as session:
            repository = EndpointRepository(session, owner.tenant_id)
            row = await repository.find(endpoint_id) if is_uuid(endpoint_id) else None
        if row is None:
            raise ResourceNotFound("webhook_endpoint", endpoint_id)
        return self._view(row)

    async def change(
        self, owner: Principal, endpoint_id: str, asked: EndpointChange, *, expected: frozenset[str] | None
    ) -> EndpointView:
        """Change what was asked for. Raises EgressBlocked, PreconditionFailed."""
        given = asked.model_fields_set
        if "url" in given:
            await self.get(owner, endpoint_id)  # nobody looks up names for an endpoint that is not there
            await self._admit(asked.url)
        async with self._changing(owner, endpoint_id) as (session, row):
            demand(row.version, expected)
            for name in given - {"headers"}:
                setattr(row, name, getattr(asked, name))
            if "headers" in given:
                row.sealed_headers = self.sealing.seal_headers(json.dumps(asked.headers), row.id)
            if "url" in given:
                _forget_failures(row)
            await self._log(session, owner, "changed", row, changed=sorted(given))
        return self._view(row)

    async def delete(self, owner: Principal, endpoint_id: str) -> EndpointDeleted:
        """Delete the endpoint and all that was to be sent to it."""
        async with self.database.transaction() as session:
            repository = EndpointRepository(session, owner.tenant_id)
            row = await _locked(repository, endpoint_id)
            await self._log(session, owner, "deleted", row)
            await repository.remove(row)
        return EndpointDeleted(endpoint_id=endpoint_id)

    async def enable(self, owner: Principal, endpoint_id: str) -> EndpointView:
        """Tell it of events again, beginning with what still waits for it."""
        async with self._changing(owner, endpoint_id) as (session, row):
            row.disabled_at = row.disabled_reason = None
            _forget_failures(row)
            await self._log(session, owner, "enabled", row)
        await self.database.when_committed(self.bell.ring)
        return self._view(row)

    async def disable(self, owner: Principal, endpoint_id: str) -> EndpointView:
        """Tell it of nothing; what waits for it waits."""
        async with self._changing(owner, endpoint_id) as (session, row):
            if row.disabled_at is None:
                row.disabled_at, row.disabled_reason = self.clock.now(), MANUAL
                told = {"endpoint_id": row.id, "url": row.url, "reason": MANUAL}
                self.outbox.append(session, owner.tenant_id, EventType.WEBHOOK_ENDPOINT_DISABLED, told, subject=row.id)
                await self._log(session, owner, "disabled", row)
        return self._view(row)

    async def rotate(self, owner: Principal, endpoint_id: str) -> EndpointMade:
        """Return a new secret. The one before it signs as well for OVERLAP; the one before that, no more."""
        secret = new_secret()
        async with self._changing(owner, endpoint_id) as (session, row):
            row.sealed_previous_secret, row.secret_rotated_at = row.sealed_secret, self.clock.now()
            row.sealed_secret = self.sealing.seal_secret(secret, row.id)
            await self._log(session, owner, "secret_rotated", row)
        return EndpointMade.of(row, self._header_names(row), self._previous_until(row), secret=secret)

    async def test(self, owner: Principal, endpoint_id: str, asked: TestBody) -> TestSent:
        """Send the catalogue's example of a type to this endpoint only. Raises Conflict."""
        now, event_id = self.clock.now(), f"{_TEST_ID}{self.new_id()}"
        example = example_of(EventType(asked.event_type))
        async with self.database.transaction() as session:
            repository = EndpointRepository(session, owner.tenant_id)
            row = await _locked(repository, endpoint_id)
            if row.disabled_at is not None:
                raise Conflict("The endpoint is disabled. Enable it first.", disabled_reason=row.disabled_reason)
            delivery = WebhookDeliveryRow(
                id=self.new_id(),
                tenant_id=owner.tenant_id,
                endpoint_id=row.id,
                event_id=event_id,
                event_type=asked.event_type,
                copy=0,
                body=body_of(event_id, asked.event_type, now, example),
                state=DeliveryState.PENDING,
                attempts=0,
                fence=0,
                available_at=now,
                created_at=now,
            )
            await repository.add(delivery)
        await self.database.when_committed(self.bell.ring)
        return TestSent(delivery_id=delivery.id, event_id=event_id, event_type=asked.event_type)

    @asynccontextmanager
    async def _changing(self, owner: Principal, endpoint_id: str) -> AsyncIterator[tuple[Session, WebhookEndpointRow]]:
        async with self.database.transaction() as session:
            row = await _locked(EndpointRepository(session, owner.tenant_id), endpoint_id)
            yield session, row
            row.version, row.updated_at = row.version + 1, self.clock.now()

    async def _admit(self, url: str) -> None:
        # Before the transaction: a slow name server holds no lock.
        try:
            await self.admission.check(url)
        except TimedOut as error:
            raise ServiceUnavailable(error.message) from error
        except EgressFailed as error:
            raise EgressBlocked(error.message) from error

    def _view(self, row: WebhookEndpointRow) -> EndpointView:
        return EndpointView.of(row, self._header_names(row), self._previous_until(row))

    def _header_names(self, row: WebhookEndpointRow) -> list[str]:
        try:
            return list(json.loads(self.sealing.open_headers(row.sealed_headers, row.id)))
        except SealBroken:  # under another root key: it can still be listed, changed and deleted
            log.exception("webhook.headers_sealed_for_good", endpoint=row.id)
            return []

    def _previous_until(self, row: WebhookEndpointRow) -> datetime | None:
        if row.secret_rotated_at is None or row.secret_rotated_at + OVERLAP <= self.clock.now():
            return None
        return row.secret_rotated_at + OVERLAP

    async def _log(
        self, session: Session, owner: Principal, action: str, row: WebhookEndpointRow, **details: Any
    ) -> None:
        # The host only: the rest of a URL may be all that its owner has for a password.
        await self.audit.append(
            session,
            owner.tenant_id,
            actor=owner.subject,
            action=f"webhook_endpoint.{action}",
            resource_type="webhook_endpoint",
            resource_id=row.id,
            details={"host": urlsplit(row.url).netloc, **details},
        )


async def _locked(repository: EndpointRepository, endpoint_id: str) -> WebhookEndpointRow:
    row = await repository.locked(endpoint_id) if is_uuid(endpoint_id) else None
    if row is None:
        raise ResourceNotFound("webhook_endpoint", endpoint_id)
    return row


def _forget_failures(row: WebhookEndpointRow) -> None:
    row.failures_in_a_row, row.failing_since, row.rests_until = 0, None, None

"""Flows are written, checked, published and taken back. A version never changes; executions pin one."""

import asyncio
import hashlib
import json
import unicodedata
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from typing import Any

from core.clock import Clock
from core.errors import Conflict, ResourceNotFound, ValidationFailed
from core.ids import IdSource, is_uuid
from server.agents.flow.faults import FlowFault, Reference
from server.agents.flow.validation import check
from server.agents.flows.repository import FlowRepository, page_of, versions_of
from server.agents.flows.schemas import (
    DefinitionBody,
    FlowBody,
    FlowChange,
    FlowDeleted,
    FlowItem,
    FlowPage,
    FlowsQuery,
    FlowView,
    NodeTypes,
    NodeTypeView,
    Validated,
    VersionItem,
    VersionPage,
    VersionsQuery,
)
from server.agents.nodes.base import Registry
from server.auth.principal import Principal
from server.openapi.pagination import Cursors
from server.openapi.preconditions import demand
from stores.audit import AuditLog
from stores.sql.engine import Database, Session
from stores.sql.models import FlowRow, FlowVersionRow

_DEFAULT_COLLECTION = "default"
_MOST_FAULTS_ANSWERED = 1000
_LONGEST_SEARCH_NAME = 1024
_MISSING = {
    "secret": ("missing_secret", "There is no such secret, or it has expired: POST /api/v1/vault/secrets stores it."),
    "collection": ("missing_collection", "There is no document in such a collection."),
    "flow": ("missing_flow", "There is no such flow, or it is archived."),
}


@dataclass(frozen=True, slots=True)
class FlowService:
    """One a process. `registry` has the node types that there are."""

    database: Database
    registry: Registry
    _: KW_ONLY
    audit: AuditLog
    clock: Clock
    new_id: IdSource
    cursors: Cursors

    def node_types(self) -> NodeTypes:
        return NodeTypes(items=[NodeTypeView.of(each) for each in self.registry.values()])

    async def validate(self, owner: Principal, body: DefinitionBody) -> Validated:
        """Return every fault of a flow that nobody keeps yet, what is missing for it included."""
        return Validated.of(await self._faults(owner, _definition(body.nodes, body.edges)))

    async def create(self, owner: Principal, body: FlowBody) -> FlowView:
        """Keep a flow and its first version, which nobody has published. Raises ValidationFailed."""
        text, now = await self._written(_definition(body.nodes, body.edges)), self.clock.now()
        row = FlowRow(
            id=self.new_id(),
            tenant_id=owner.tenant_id,
            name=body.name,
            search_name=searched(body.name),
            description=body.description,
            extra=body.metadata,
            status="draft",
            latest_number=1,
            version=1,
            created_by=owner.subject,
            created_at=now,
            updated_at=now,
        )
        async with self.database.transaction() as session:
            repository = FlowRepository(session, owner.tenant_id)
            await repository.add(row)
            version = self._version(owner, row, text)
            await repository.add(version)
            await self._log(session, owner, "created", row, name=row.name)
        return FlowView.whole(row, version)

    async def page(self, owner: Principal, query: FlowsQuery) -> FlowPage:
        scope = {"tenant_id": owner.tenant_id, "listing": "flows"}
        place = self.cursors.place(query, **scope)
        search = None if query.search is None else searched(query.search)
        found = await self.database.read(
            page_of(owner.tenant_id, place=place, limit=query.limit, search=search, status=query.status)
        )
        last = found.rows[-1] if found.more else None
        return FlowPage(
            items=[FlowItem.of(row) for row in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last and self.cursors.next(query, place, found, last=(last.created_at, last.id), **scope),
        )

    async def get(self, owner: Principal, flow_id: str, number: int | None = None) -> tuple[FlowView, int]:
        """Return the flow and what its ETag counts. Raises ResourceNotFound, as does every method below."""
        async with self.database.reading() as session:
            repository = FlowRepository(session, owner.tenant_id)
            row = _there(await repository.find(flow_id) if is_uuid(flow_id) else None, flow_id)
            version = await _version(repository, row, row.latest_number if number is None else number)
        return FlowView.whole(row, version), row.version

    async def change(
        self, owner: Principal, flow_id: str, asked: FlowChange, *, expected: frozenset[str] | None
    ) -> tuple[FlowView, int]:
        """Change what was asked for. Raises PreconditionFailed, ValidationFailed."""
        given = asked.model_fields_set
        before, _ = await self.get(owner, flow_id)
        text = None
        if given & {"nodes", "edges"}:
            nodes = asked.nodes if "nodes" in given else before.nodes
            edges = asked.edges if "edges" in given else before.edges
            # Before the transaction: it takes time, and nobody waits for it who changes something else.
            text = await self._written(_definition(nodes, edges))
        async with self._changing(owner, flow_id, expected) as (session, repository, row):
            if text is not None and row.latest_number != before.version:
                raise Conflict("Somebody has changed the flow meanwhile. Read it again, then decide.")
            version = await _version(repository, row, row.latest_number)
            if text is not None and text != version.definition:
                row.latest_number += 1
                version = self._version(owner, row, text)
                await repository.add(version)
            for name in given & {"name", "description"}:
                setattr(row, name, getattr(asked, name))
            if "name" in given:
                row.search_name = searched(asked.name)
            if "metadata" in given:
                row.extra = asked.metadata
            if "status" in given:
                row.status = asked.status
                row.published_number = None if asked.status == "draft" else row.published_number
            row.version, row.updated_at = row.version + 1, self.clock.now()
            await self._log(session, owner, "changed", row, changed=sorted(given), version=row.latest_number)
        return FlowView.whole(row, version), row.version

    async def delete(self, owner: Principal, flow_id: str, *, expected: frozenset[str] | None) -> FlowDeleted:
        """Delete the flow with its versions and schedules; its executions stay. Raises Conflict if one is not over."""
        async with self._changing(owner, flow_id, expected) as (session, repository, row):
            under_way = await repository.executions_under_way(row.id)
            if under_way:
                raise Conflict(
                    "Executions of the flow are not over. Cancel them or let them end; or archive the flow.",
                    executions=under_way,
                )
            await self._log(session, owner, "deleted", row, name=row.name)
            await repository.remove(row)
        return FlowDeleted(flow_id=flow_id)

    async def versions(self, owner: Principal, flow_id: str, query: VersionsQuery) -> VersionPage:
        flow, _ = await self.get(owner, flow_id)
        scope = {"tenant_id": owner.tenant_id, "listing": f"flow-versions/{flow_id}"}
        place = self.cursors.place(query, **scope)
        found = await self.database.read(versions_of(owner.tenant_id, flow_id, place=place, limit=query.limit))
        last = found.rows[-1] if found.more else None
        return VersionPage(
            items=[VersionItem.of(row, flow.published_version) for row in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last
            and self.cursors.next(query, place, found, last=(last.created_at, str(last.number)), **scope),
        )

    async def publish(
        self, owner: Principal, flow_id: str, number: int | None, *, expected: frozenset[str] | None
    ) -> tuple[FlowView, int]:
        """Have this version executed when nobody names one. Raises Conflict with every fault, PreconditionFailed."""
        wanted, _ = await self.get(owner, flow_id, number)
        faults = await self._faults(owner, _definition(wanted.nodes, wanted.edges))
        if faults:
            raise Conflict("This version cannot be executed as it is.", violations=_violations(faults))
        async with self._changing(owner, flow_id, expected) as (session, repository, row):
            version = await _version(repository, row, wanted.version)
            return await self._publish(session, owner, row, version, "published")

    async def roll_back(
        self, owner: Principal, flow_id: str, number: int | None, *, expected: frozenset[str] | None
    ) -> tuple[FlowView, int]:
        """Have a version executed again that was published before. Raises Conflict, PreconditionFailed."""
        async with self._changing(owner, flow_id, expected) as (session, repository, row):
            if number is None:
                if row.published_number is None:
                    raise Conflict("No version is published: name the one to go back to.")
                version = await repository.published_below(row.id, row.published_number)
                if version is None:
                    raise Conflict("No version below the published one was ever published.")
            else:
                version = await _version(repository, row, number)
                if version.published_at is None:
                    raise Conflict("This version was never published: publish it instead.")
            return await self._publish(session, owner, row, version, "rolled_back")

    async def _publish(
        self, session: Session, owner: Principal, row: FlowRow, version: FlowVersionRow, action: str
    ) -> tuple[FlowView, int]:
        was, now = row.published_number, self.clock.now()
        row.published_number, row.status, version.published_at = version.number, "published", now
        row.version, row.updated_at = row.version + 1, now
        await self._log(session, owner, action, row, version=version.number, before=was)
        return FlowView.whole(row, version), row.version

    async def _written(self, definition: Mapping[str, Any]) -> str:
        """Return the text of a definition that can be executed. Raises ValidationFailed with every fault."""
        checked = await asyncio.to_thread(check, definition, self.registry)
        if checked.faults:
            raise ValidationFailed("The flow is not valid.", violations=_violations(checked.faults))
        return json.dumps(definition)

    async def _faults(self, owner: Principal, definition: Mapping[str, Any]) -> list[FlowFault]:
        checked = await asyncio.to_thread(check, definition, self.registry)
        return [*checked.faults, *await self._missing(owner, checked.references)]

    async def _missing(self, owner: Principal, references: Sequence[Reference]) -> list[FlowFault]:
        by_kind = {kind: {each.name for each in references if each.kind == kind} for kind in _MISSING}
        async with self.database.reading() as session:
            repository = FlowRepository(session, owner.tenant_id)
            there = {
                "secret": await repository.secrets(by_kind["secret"], self.clock.now()) if by_kind["secret"] else set(),
                "collection": {_DEFAULT_COLLECTION, *await repository.collections(by_kind["collection"])},
                "flow": await repository.flows(by_kind["flow"]),
            }
        return [
            FlowFault(code=_MISSING[each.kind][0], pointer=each.pointer, message=_MISSING[each.kind][1])
            for each in references
            if each.name not in there[each.kind]
        ]

    def _version(self, owner: Principal, row: FlowRow, text: str) -> FlowVersionRow:
        return FlowVersionRow(
            flow_id=row.id,
            number=row.latest_number,
            tenant_id=row.tenant_id,
            definition=text,
            definition_sha256=hashlib.sha256(text.encode()).hexdigest(),
            created_by=owner.subject,
            created_at=self.clock.now(),
        )

    @asynccontextmanager
    async def _changing(
        self, owner: Principal, flow_id: str, expected: frozenset[str] | None
    ) -> AsyncIterator[tuple[Session, FlowRepository, FlowRow]]:
        async with self.database.transaction() as session:
            repository = FlowRepository(session, owner.tenant_id)
            row = _there(await repository.locked(flow_id) if is_uuid(flow_id) else None, flow_id)
            demand(row.version, expected)
            yield session, repository, row

    async def _log(self, session: Session, owner: Principal, action: str, row: FlowRow, **details: Any) -> None:
        await self.audit.append(
            session,
            owner.tenant_id,
            actor=owner.subject,
            action=f"flow.{action}",
            resource_type="flow",
            resource_id=row.id,
            details=details,
        )


def searched(name: str) -> str:
    """Return a name as it is searched for: letters in whatever case, however they are composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())[:_LONGEST_SEARCH_NAME]


def _definition(nodes: list[Any], edges: list[Any]) -> dict[str, Any]:
    return {"nodes": nodes, "edges": edges}


def _violations(faults: Iterable[FlowFault]) -> list[dict[str, str]]:
    told = list(faults)[:_MOST_FAULTS_ANSWERED]
    return [{"pointer": each.pointer, "message": each.message, "code": each.code} for each in told]


def _there(row: FlowRow | None, flow_id: str) -> FlowRow:
    if row is None:
        raise ResourceNotFound("flow", flow_id)
    return row


async def _version(repository: FlowRepository, row: FlowRow, number: int) -> FlowVersionRow:
    version = await repository.version(row.id, number)
    if version is None:
        raise ResourceNotFound("flow_version", str(number))
    return version

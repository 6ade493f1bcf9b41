"""Sources are kept and crawls asked for; Dagster crawls."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Protocol

from core.clock import Clock
from core.errors import Conflict, ResourceNotFound
from core.ids import is_uuid
from pipelines.document import ChunkingConfig, ChunkingStrategy
from server.auth.principal import Principal
from server.openapi.preconditions import demand
from server.rag.sources.repository import SourceRepository
from server.rag.sources.schemas import (
    MOST_SOURCES,
    CrawlList,
    CrawlsQuery,
    CrawlView,
    SourceBody,
    SourceChange,
    SourceDeleted,
    SourceList,
    SourceMade,
    SourceRemoval,
    SourceView,
    seconds_of,
)
from stores.audit import AuditLog
from stores.buckets import bucket_of
from stores.folders import is_below, missing_part
from stores.members import Members
from stores.sources import crawl_of
from stores.sql.engine import Database, Session
from stores.sql.models import SourceRow

_DOCUMENT_TYPES = {"url": "url", "sitemap": "url", "github": "github", "folder": "file"}


class SecretSeal(Protocol):
    """Makes a source's secret readable to whoever verifies its pushes, and to nobody else."""

    def seal(self, secret: str, source_id: str) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceService:
    """One a process. `folders` are those that the operator has opened to sources."""

    database: Database
    members: Members
    audit: AuditLog
    clock: Clock
    new_id: Callable[[], str]
    folders: Sequence[str]
    secret_seal: SecretSeal

    async def create(self, owner: Principal, body: SourceBody) -> SourceMade:
        """Keep the source; one with a cadence is crawled at once, and then in step with it."""
        if body.type == "folder":
            self._demand_open(body.location)
        async with self.database.transaction() as session:
            repository = SourceRepository(session, owner.tenant_id)
            if await repository.count() >= MOST_SOURCES:
                raise Conflict(f"There are {MOST_SOURCES} sources already. Delete one that is not needed.")
            row = self._row(owner, body)
            secret = secrets.token_urlsafe(32) if row.type == "github" else None
            row.sealed_webhook_secret = self._sealed(row, secret)
            if not await repository.add(row):
                raise Conflict("There is a source of this name already.", name=body.name)
            await self._log(session, owner, "source.created", row)
            return SourceMade.of(row).model_copy(update={"webhook_secret": secret})

    def _demand_open(self, folder: str) -> None:
        if not is_below(folder, self.folders):
            raise Conflict("This folder is not open to sources. The operator opens folders by CODEXOS_SOURCE_FOLDERS.")
        if (missing := missing_part(folder)) is not None:
            raise Conflict(missing)

    def _row(self, owner: Principal, body: SourceBody) -> SourceRow:
        now = self.clock.now()
        chunking = ChunkingConfig(strategy=ChunkingStrategy(body.chunking_strategy))
        return SourceRow(
            id=self.new_id(),
            tenant_id=owner.tenant_id,
            bucket=bucket_of(owner.tenant_id),
            name=body.name,
            type=body.type,
            location=body.location,
            collection=body.collection,
            user_metadata=body.metadata,
            chunking=asdict(chunking),
            cadence_seconds=seconds_of(body.cadence),
            max_delete_fraction=body.max_delete_fraction,
            version=1,
            next_crawl_at=None if body.cadence is None else now,
            created_at=now,
            updated_at=now,
        )

    async def all(self, owner: Principal) -> SourceList:
        async with self.database.reading() as session:
            rows = await SourceRepository(session, owner.tenant_id).all()
        return SourceList(items=[SourceView.of(row) for row in rows])

    async def one(self, owner: Principal, source_id: str) -> SourceView:
        async with self.database.reading() as session:
            row = await _found(SourceRepository(session, owner.tenant_id), source_id)
        return SourceView.of(row)

    async def change(
        self, owner: Principal, source_id: str, change: SourceChange, expected: frozenset[str] | None
    ) -> SourceView:
        async with self.database.transaction() as session:
            row = await _locked(SourceRepository(session, owner.tenant_id), source_id)
            demand(row.version, expected)
            now = self.clock.now()
            if "cadence" in change.model_fields_set:
                row.cadence_seconds = seconds = seconds_of(change.cadence)
                row.next_crawl_at = None if seconds is None else now + timedelta(seconds=seconds)
            if change.metadata is not None:
                row.user_metadata = change.metadata
            if change.chunking_strategy is not None:
                row.chunking = {**row.chunking, "strategy": change.chunking_strategy}
            if change.max_delete_fraction is not None:
                row.max_delete_fraction = change.max_delete_fraction
            if change.paused is not None:
                row.paused_at = (row.paused_at or now) if change.paused else None
            if "webhook_secret" in change.model_fields_set:
                row.sealed_webhook_secret = self._sealed(row, change.webhook_secret)
            row.version, row.updated_at = row.version + 1, now
            await self._log(session, owner, "source.changed", row, changed=sorted(change.model_fields_set))
            return SourceView.of(row)

    def _sealed(self, row: SourceRow, secret: str | None) -> bytes | None:
        if secret is None:
            return None
        if row.type != "github":
            raise Conflict("Pushes are of repositories: only a github source has a webhook secret.")
        return self.secret_seal.seal(secret, row.id)

    async def delete(self, owner: Principal, source_id: str, removal: SourceRemoval) -> SourceDeleted:
        """Delete the source, and its documents if that is asked for."""
        deleted = 0
        async with self.database.transaction() as session:
            repository = SourceRepository(session, owner.tenant_id)
            row = await _locked(repository, source_id)
            await repository.remove_crawls(source_id)  # first: what is not there afterwards, no crawl brings
            if removal.documents == "delete":
                kind = _DOCUMENT_TYPES[row.type]
                known = await self.members.known(owner.tenant_id, row.collection, kind, f"{row.id}:")
                deleted = await self.members.retire(owner.tenant_id, row.collection, list(known))
            await self._log(session, owner, "source.deleted", row, documents_deleted=deleted)
            await repository.remove(row)
        return SourceDeleted(source_id=source_id, documents_deleted=deleted)

    async def crawl(self, owner: Principal, source_id: str) -> CrawlView:
        """Ask for a crawl now; one that waits or is at work already is the one."""
        async with self.database.transaction() as session:
            repository = SourceRepository(session, owner.tenant_id)
            row = await _locked(repository, source_id)
            crawl = await repository.open_crawl(source_id)
            if crawl is None:
                now = self.clock.now()
                crawl = crawl_of(row, self.new_id(), due_at=now, now=now)
                await repository.add_crawl(crawl)
            return CrawlView.of(crawl)

    async def crawls(self, owner: Principal, source_id: str, query: CrawlsQuery) -> CrawlList:
        async with self.database.reading() as session:
            repository = SourceRepository(session, owner.tenant_id)
            await _found(repository, source_id)
            rows = await repository.crawls(source_id, skip=query.skip, limit=query.limit)
        return CrawlList(items=[CrawlView.of(row) for row in rows])

    async def _log(self, session: Session, owner: Principal, action: str, row: SourceRow, **details: Any) -> None:
        await self.audit.append(
            session,
            owner.tenant_id,
            actor=owner.subject,
            action=action,
            resource_type="source",
            resource_id=row.id,
            details={"name": row.name, "type": row.type, **details},
        )


async def _found(repository: SourceRepository, source_id: str) -> SourceRow:
    row = await repository.find(source_id) if is_uuid(source_id) else None
    if row is None:
        raise ResourceNotFound("source", source_id)
    return row


async def _locked(repository: SourceRepository, source_id: str) -> SourceRow:
    row = await repository.locked(source_id) if is_uuid(source_id) else None
    if row is None:
        raise ResourceNotFound("source", source_id)
    return row

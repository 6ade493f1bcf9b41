"""Tags are made, listed and deleted; cleaning up goes round what they name."""

from dataclasses import dataclass

from core.clock import Clock
from core.errors import Conflict, ResourceNotFound
from server.auth.principal import Principal
from server.rag.index_tags.repository import TagRepository
from server.rag.index_tags.schemas import MOST_TAGS, TagDeleted, TagList, TagRequest, TagView
from server.rag.query_index import QueryIndex, QueryIndexes
from stores.audit import AuditLog
from stores.index_history import TaggedVersion
from stores.sql.engine import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class TagService:
    """One a process."""

    database: Database
    indexes: QueryIndexes
    audit: AuditLog
    clock: Clock

    async def create(self, owner: Principal, request: TagRequest) -> TagView:
        """Keep a version of the index: the newest, or one that an answer gave."""
        index = await self._index(owner, request)
        if index.table is None or index.generation is None:
            raise Conflict("Nothing has been indexed yet: there is no version to keep.")
        version = await index.table.version()
        async with self.database.transaction() as session:
            repository = TagRepository(session, owner.tenant_id)
            await repository.hold()
            if await repository.find(request.name) is not None:
                raise Conflict("There is a tag of this name already.", name=request.name)
            if await repository.count() >= MOST_TAGS:
                raise Conflict(f"There are {MOST_TAGS} tags already. Delete one that is not needed.")
            # In Lance first: a tag that SQL does not know keeps a version too long, the other way round loses it.
            await index.table.tag(request.name, version)
            now = self.clock.now()
            await repository.add(
                request.name,
                generation_id=index.generation.id,
                version=version,
                created_by=owner.subject,
                now=now,
            )
            await self.audit.append(
                session,
                owner.tenant_id,
                actor=owner.subject,
                action="index_tag.created",
                resource_type="index_tag",
                resource_id=request.name,
                details={"index_version": await index.version()},
            )
        tag = TaggedVersion(name=request.name, generation=index.generation, version=version, created_at=now)
        return TagView.of(tag)

    async def _index(self, owner: Principal, request: TagRequest) -> QueryIndex:
        if request.index_version is None:
            return await self.indexes.active(owner.tenant_id, embedding=False)
        return await self.indexes.as_of(owner.tenant_id, request.index_version, embedding=False)

    async def all(self, owner: Principal) -> TagList:
        tags = await self.indexes.history.tags(owner.tenant_id)
        return TagList(items=[TagView.of(tag) for tag in tags])

    async def delete(self, owner: Principal, name: str) -> TagDeleted:
        """Let a version go with its time."""
        tag = await self.indexes.history.tagged(owner.tenant_id, name)
        if tag is None:
            raise ResourceNotFound("index_tag", name)
        async with self.database.transaction() as session:
            repository = TagRepository(session, owner.tenant_id)
            await repository.hold()
            row = await repository.find(name)
            if row is None:
                raise ResourceNotFound("index_tag", name)
            await self.audit.append(
                session,
                owner.tenant_id,
                actor=owner.subject,
                action="index_tag.deleted",
                resource_type="index_tag",
                resource_id=name,
            )
            await repository.remove(row)
        generation = tag.generation
        table = await self.indexes.lance.find_table(owner.tenant_id, generation.table_space, generation.dimensions)
        if table is not None:
            await self.database.when_committed(lambda: table.untag(name))
        return TagDeleted(name=name)

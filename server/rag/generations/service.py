"""Generations are made, promoted, rolled back and retired; their builder works on its own."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from core.clock import Clock
from core.errors import Conflict, ResourceNotFound
from core.events import EventType
from core.ids import GenerationId, TenantId, is_uuid, new_id
from pipelines.index.generations.wanted import is_current
from server.auth.principal import Principal
from server.rag.generations.fence import MOST_BEHIND, Fence, fenced_off
from server.rag.generations.repository import GenerationRepository
from server.rag.generations.schemas import (
    MOST_GENERATIONS,
    GenerationList,
    GenerationRequest,
    GenerationView,
    PromoteRequest,
    RollbackRequest,
)
from server.rag.query_index import QueryEmbedders
from stores.audit import AuditLog
from stores.generation_work import GenerationProgress, GenerationWork
from stores.generations import Generation, Generations, Space
from stores.golden_sets import GoldenSets
from stores.lance import LanceStore
from stores.lance.schema import table_name
from stores.leases import Leases
from stores.outbox import Outbox
from stores.sql.engine import Database, Session
from stores.sql.models import GenerationRow, GenerationState, IndexPointerRow

_PROMOTABLE = (GenerationState.READY, GenerationState.STANDBY)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationService:
    """One a process."""

    database: Database
    generations: Generations
    work: GenerationWork
    golden_sets: GoldenSets
    embedders: QueryEmbedders
    lance: LanceStore
    leases: Leases
    outbox: Outbox
    audit: AuditLog
    clock: Clock
    new_id: Callable[[], str]
    patience: timedelta
    """How long writers may be held off while a candidate catches up."""

    async def create(self, owner: Principal, request: GenerationRequest) -> GenerationView:
        """Promise another index of all documents; a builder takes it up within seconds."""
        active = await self._adopted(owner.tenant_id)
        space = await self._space(request.embedder or active.embedder)
        async with self.database.transaction() as session:
            repository = GenerationRepository(session, owner.tenant_id)
            await repository.held_pointer()
            if await repository.count_with_table() >= MOST_GENERATIONS:
                raise Conflict(f"There are {MOST_GENERATIONS} generations already. Delete one that is not needed.")
            row = await repository.add(
                GenerationId(self.new_id()),
                space,
                chunking=None if request.chunking is None else request.chunking.model_dump(),
                created_by=owner.subject,
                now=self.clock.now(),
            )
            await self._log(session, owner, "generation.created", row, EventType.RAG_GENERATION_CREATED)
            return await self._view(row)

    async def newest(self, owner: Principal) -> GenerationList:
        async with self.database.reading() as session:
            rows = await GenerationRepository(session, owner.tenant_id).newest()
        found = await self.work.progress(owner.tenant_id, [GenerationId(row.id) for row in rows])
        return GenerationList(items=[GenerationView.of(row, found[GenerationId(row.id)]) for row in rows])

    async def one(self, owner: Principal, generation_id: str) -> GenerationView:
        async with self.database.reading() as session:
            row = await _found(GenerationRepository(session, owner.tenant_id), generation_id)
        return await self._view(row)

    async def promote(self, owner: Principal, generation_id: str, request: PromoteRequest) -> GenerationView:
        """Let a generation answer, unless the gate says that answers would be worse."""
        fenced = None if request.force else await self._fence(owner, generation_id)
        async with self.database.transaction() as session:
            repository = GenerationRepository(session, owner.tenant_id)
            pointer = await repository.held_pointer()
            row = await _found(repository, generation_id)
            if pointer is None or row.state not in _PROMOTABLE:
                raise Conflict("Only a generation that is ready or standby can be promoted.", state=row.state)
            if not request.force:
                if fenced is None or not fenced.still_holds(pointer):
                    raise Conflict("Another generation was promoted meanwhile. Look which one answers.")
                await self._pass_gate(row, pointer)
            await self._move(session, repository, pointer, row, owner, request)
            await self._log(
                session,
                owner,
                "generation.promoted",
                row,
                EventType.RAG_INDEX_PROMOTED,
                forced=request.force,
                reason=request.reason,
            )
            return await self._view(row)

    async def _fence(self, owner: Principal, generation_id: str) -> Fence | None:
        """Hold writers off the active index until the request has ended, and wait until the candidate is in step."""
        async with self.database.reading() as session:
            repository = GenerationRepository(session, owner.tenant_id)
            row = await _found(repository, generation_id)
            pointer = await repository.pointer()
        if pointer is None or row.state not in _PROMOTABLE:
            return None
        await self._pass_gate(row, pointer, most_behind=MOST_BEHIND)
        active = await self.generations.find(GenerationId(pointer.generation_id))
        if active is None:
            return None
        fence = await fenced_off(self.leases, self.database, active, patience=self.patience)
        await fence.wait_until(lambda: self._is_in_step(row))
        return fence

    async def _is_in_step(self, row: GenerationRow) -> bool:
        return not (await self._progress(row)).behind

    async def rollback(self, owner: Principal, request: RollbackRequest) -> GenerationView:
        """Let the generation answer that did before. No check stands in the way: it is for emergencies."""
        async with self.database.transaction() as session:
            repository = GenerationRepository(session, owner.tenant_id)
            pointer = await repository.held_pointer()
            if pointer is None or pointer.previous_id is None:
                raise Conflict("There is no generation to go back to.")
            row = await _found(repository, pointer.previous_id)
            await self._move(session, repository, pointer, row, owner, request)
            await self._log(
                session,
                owner,
                "generation.rolled_back",
                row,
                EventType.RAG_GENERATION_ROLLED_BACK,
                reason=request.reason,
            )
            return await self._view(row)

    async def retire(self, owner: Principal, generation_id: str) -> GenerationView:
        """Take a generation out of use; its table is dropped after the commit."""
        async with self.database.transaction() as session:
            repository = GenerationRepository(session, owner.tenant_id)
            pointer = await repository.held_pointer()
            row = await _found(repository, generation_id)
            if pointer is None or row.state == GenerationState.ACTIVE:
                raise Conflict("This generation answers. Promote another one first.", state=row.state)
            if row.state != GenerationState.RETIRED:
                if tags := await repository.tags_of(row.id):
                    raise Conflict("Tags keep versions of this generation. Delete them first.", tags=tags)
                await repository.retire(pointer, row, now=self.clock.now())
                await self._log(session, owner, "generation.retired", row, EventType.RAG_GENERATION_RETIRED)
            retired = Generation.of(row)
            view = await self._view(row)
        await self.database.when_committed(lambda: self._drop(retired))
        return view

    async def _drop(self, generation: Generation) -> None:
        # Under the lease: a lane that was about to write to it has then seen that it is retired.
        async with self.leases.hold(f"lance:{table_name(generation.tenant_id, generation.table_space)}", new_id()):
            await self.lance.drop_table(generation.tenant_id, generation.table_space)

    async def _adopted(self, tenant_id: TenantId) -> Generation:
        found = await self.generations.active(tenant_id)
        if found is None:
            found = await self.generations.adopt(tenant_id, await self._space(self.embedders.configured_name))
        return found

    async def _space(self, name: str) -> Space:
        if not self.embedders.knows(name):
            raise ResourceNotFound("embedder", name)
        embedder = await self.embedders.named(name).ready()
        return Space(embedder=name, space=embedder.space, dimensions=embedder.dimensions)

    async def _pass_gate(self, row: GenerationRow, pointer: IndexPointerRow, *, most_behind: int = 0) -> None:
        progress = await self._progress(row)
        if progress.behind > most_behind:
            raise Conflict(
                "This generation is not in step yet. Its builder is at it: try again in a moment.",
                documents_behind=progress.behind,
            )
        if progress.failed:
            raise Conflict(
                "Some documents could not be indexed this way, and would not be found any more.",
                documents_failed=progress.failed,
            )
        active = await self.generations.find(GenerationId(pointer.generation_id))
        versions = await self.golden_sets.versions(TenantId(row.tenant_id))
        if active is None or not is_current(row.evaluation, against=active.number, versions=versions):
            raise Conflict("The golden questions have not been asked yet as they are now. Try again in a moment.")
        if versions and row.evaluation is not None and row.evaluation["worse"]:
            raise Conflict("It answers the golden questions worse than the active generation.", **_told(row))

    async def _move(
        self,
        session: Session,
        repository: GenerationRepository,
        pointer: IndexPointerRow,
        row: GenerationRow,
        owner: Principal,
        request: PromoteRequest | RollbackRequest,
    ) -> None:
        await repository.move(
            pointer,
            row,
            moved_by=owner.subject,
            forced=isinstance(request, PromoteRequest) and request.force,
            reason=request.reason,
            now=self.clock.now(),
        )

    async def _progress(self, row: GenerationRow) -> GenerationProgress:
        found = GenerationId(row.id)
        return (await self.work.progress(TenantId(row.tenant_id), [found]))[found]

    async def _view(self, row: GenerationRow) -> GenerationView:
        return GenerationView.of(row, await self._progress(row))

    async def _log(
        self,
        session: Session,
        owner: Principal,
        action: str,
        row: GenerationRow,
        event: EventType,
        **details: object,
    ) -> None:
        told = {"generation_id": row.id, "number": row.number}
        self.outbox.append(session, owner.tenant_id, event, told)
        await self.audit.append(
            session,
            owner.tenant_id,
            actor=owner.subject,
            action=action,
            resource_type="generation",
            resource_id=row.id,
            details={"number": row.number, **details},
        )


async def _found(repository: GenerationRepository, generation_id: str) -> GenerationRow:
    row = await repository.find(generation_id) if is_uuid(generation_id) else None
    if row is None:
        raise ResourceNotFound("generation", generation_id)
    return row


def _told(row: GenerationRow) -> dict[str, object]:
    evaluation = row.evaluation or {}
    return {name: evaluation[name] for name in ("against", "tolerance", "sets") if name in evaluation}

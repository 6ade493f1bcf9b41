"""Golden sets are kept; whoever measures reads them from SQL."""

from collections.abc import Callable
from dataclasses import dataclass

from core.clock import Clock
from core.errors import Conflict, ResourceNotFound
from core.ids import is_uuid
from server.auth.principal import Principal
from server.openapi.preconditions import demand
from server.rag.golden_sets.repository import GoldenSetRepository
from server.rag.golden_sets.schemas import (
    MOST_SETS,
    GoldenSetBody,
    GoldenSetDeleted,
    GoldenSetList,
    GoldenSetSummary,
    GoldenSetView,
)
from stores.audit import AuditLog
from stores.sql.engine import Database, Session
from stores.sql.models import GoldenSetRow


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenSetService:
    """One a process."""

    database: Database
    audit: AuditLog
    clock: Clock
    new_id: Callable[[], str]

    async def create(self, owner: Principal, body: GoldenSetBody) -> GoldenSetView:
        async with self.database.transaction() as session:
            repository = GoldenSetRepository(session, owner.tenant_id)
            if await repository.count() >= MOST_SETS:
                raise Conflict(f"There are {MOST_SETS} golden sets already. Delete one that is not needed.")
            row = await repository.add(self.new_id(), body.name, _questions(body), now=self.clock.now())
            if row is None:
                raise _taken(body)
            await self._log(session, owner, "golden_set.created", row)
            return GoldenSetView.of(row)

    async def all(self, owner: Principal) -> GoldenSetList:
        async with self.database.reading() as session:
            rows = await GoldenSetRepository(session, owner.tenant_id).all()
        return GoldenSetList(items=[GoldenSetSummary.of(row) for row in rows])

    async def one(self, owner: Principal, golden_set_id: str) -> GoldenSetView:
        async with self.database.reading() as session:
            repository = GoldenSetRepository(session, owner.tenant_id)
            row = await repository.find(golden_set_id) if is_uuid(golden_set_id) else None
        if row is None:
            raise ResourceNotFound("golden_set", golden_set_id)
        return GoldenSetView.of(row)

    async def replace(
        self, owner: Principal, golden_set_id: str, body: GoldenSetBody, expected: frozenset[str] | None
    ) -> GoldenSetView:
        """Put other questions in place; whatever was measured by the old ones is measured anew."""
        async with self.database.transaction() as session:
            repository = GoldenSetRepository(session, owner.tenant_id)
            row = await self._locked(repository, golden_set_id)
            demand(row.version, expected)
            other = await repository.named(body.name)
            if other is not None and other.id != row.id:
                raise _taken(body)
            row.name, row.questions = body.name, _questions(body)
            row.version, row.updated_at = row.version + 1, self.clock.now()
            await self._log(session, owner, "golden_set.replaced", row)
            return GoldenSetView.of(row)

    async def delete(self, owner: Principal, golden_set_id: str) -> GoldenSetDeleted:
        async with self.database.transaction() as session:
            repository = GoldenSetRepository(session, owner.tenant_id)
            row = await self._locked(repository, golden_set_id)
            await self._log(session, owner, "golden_set.deleted", row)
            await repository.remove(row)
        return GoldenSetDeleted(golden_set_id=golden_set_id)

    async def _locked(self, repository: GoldenSetRepository, golden_set_id: str) -> GoldenSetRow:
        row = await repository.locked(golden_set_id) if is_uuid(golden_set_id) else None
        if row is None:
            raise ResourceNotFound("golden_set", golden_set_id)
        return row

    async def _log(self, session: Session, owner: Principal, action: str, row: GoldenSetRow) -> None:
        await self.audit.append(
            session,
            owner.tenant_id,
            actor=owner.subject,
            action=action,
            resource_type="golden_set",
            resource_id=row.id,
            details={"name": row.name, "questions": len(row.questions)},
        )


def _questions(body: GoldenSetBody) -> list[dict[str, object]]:
    return [question.model_dump(exclude_none=True) for question in body.questions]


def _taken(body: GoldenSetBody) -> Conflict:
    return Conflict("There is a golden set of this name already.", name=body.name)

"""Show a tenant its audit log, page by page."""

from server.audit.repository import page_of
from server.audit.schemas import AuditEvent, AuditPage, AuditQuery
from server.auth.principal import Principal
from server.openapi.pagination import Cursors
from stores.sql.engine import Database


class AuditTrail:
    """One a process."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    async def page(self, owner: Principal, query: AuditQuery) -> AuditPage:
        scope = {"tenant_id": owner.tenant_id, "listing": "audit-events"}
        place = self._cursors.place(query, **scope)
        # A cursor's id is the entry's number here: entries are counted, and two may have the same time.
        before = int(place.after[1]) if place.after is not None else None
        filters = query.model_dump(exclude={"skip", "cursor"})
        found = await self._database.read(page_of(owner.tenant_id, before=before, offset=place.offset, **filters))
        last = found.rows[-1] if found.more else None
        return AuditPage(
            items=[AuditEvent.of(row) for row in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last
            and self._cursors.next(query, place, found, last=(last.occurred_at, str(last.sequence)), **scope),
        )

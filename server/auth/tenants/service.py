"""Who belongs to which tenants, remembered for a moment; and what is changed about tenants and their members."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.clock import Clock
from core.errors import AuthorizationFailed, Conflict, ResourceNotFound
from core.ids import IdSource, TenantId, UserId, is_uuid
from server.auth.principal import Principal, Scope
from server.auth.tenants.repository import (
    MemberRepository,
    TenantRepository,
    invitations_of,
    members_of,
    memberships_of,
    tenants_of,
)
from server.auth.tenants.roles import may_hand_on, scopes_of
from server.auth.tenants.schemas import (
    MemberPage,
    MembersQuery,
    MemberView,
    MyTenant,
    TenantDeleted,
    TenantPage,
    TenantsQuery,
    TenantView,
)
from server.openapi.pagination import Cursors
from server.openapi.preconditions import demand
from stores.audit import AuditLog
from stores.sql.engine import Database, Session
from stores.sql.models import MembershipRow, Role, TenantRow, UserRow

# A membership that ended, and a role that was lowered, may count for this long, and not longer.
_REMEMBERED_FOR = timedelta(seconds=5)
_REMEMBERED_USERS = 10_000
_SHOWN_INVITATIONS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The role of a user in a tenant, and the plan that the tenant is on."""

    tenant_id: TenantId
    role: Role
    plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """What a user may accept, and has no right by until then."""

    tenant_id: TenantId
    tenant_name: str
    role: Role
    created_at: datetime
    expires_at: datetime


class Memberships:
    """One a process."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._seen: OrderedDict[UserId, tuple[datetime, list[Membership]]] = OrderedDict()

    async def of(self, user_id: UserId) -> list[Membership]:
        """Return the memberships of the user, the oldest first."""
        now = self._clock.now()
        seen = self._seen.get(user_id)
        if seen is not None and now < seen[0]:
            return seen[1]
        rows = await self._database.rows(memberships_of(user_id))
        found = [
            Membership(tenant_id=TenantId(tenant_id), role=Role(role), plan=plan) for tenant_id, role, plan in rows
        ]
        self._seen.pop(user_id, None)
        self._seen[user_id] = (now + _REMEMBERED_FOR, found)  # counted from before the look-up
        if len(self._seen) > _REMEMBERED_USERS:
            self._seen.popitem(last=False)
        return found

    async def tenants_of(self, session: Session, user_id: UserId) -> list[TenantId]:
        """Return the user's tenants as `session`'s transaction sees them, in the order of their ids."""
        rows = await session.execute(memberships_of(user_id))
        return sorted(TenantId(tenant_id) for tenant_id, _, _ in rows)

    async def invitations_of(self, user_id: UserId) -> list[Invited]:
        """Return the newest hundred invitations that the user can accept."""
        rows = await self._database.rows(invitations_of(user_id, now=self._clock.now(), limit=_SHOWN_INVITATIONS))
        return [
            Invited(
                tenant_id=TenantId(tenant_id),
                tenant_name=name,
                role=Role(role),
                created_at=created_at,
                expires_at=expires_at,
            )
            for tenant_id, name, role, created_at, expires_at in rows
        ]

    def forget(self, user_id: UserId) -> None:
        """Look again next time, in this process: what a user has just changed is there for them at once."""
        self._seen.pop(user_id, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenants:
    """One a process. A tenant is named by its path, and has to be the one that the principal acts in.

    Roles are read anew, with the tenant's row held: two owners who demote each other at once come one after the
    other, and what was remembered of a role decides nothing here.
    """

    database: Database
    clock: Clock
    audit: AuditLog
    memberships: Memberships
    new_id: IdSource
    cursors: Cursors

    async def create(self, person: Principal, name: str) -> TenantView:
        """Make a tenant that the person owns."""
        now = self.clock.now()
        tenant = TenantRow(id=self.new_id(), name=name, plan="default", version=1, created_at=now)
        tenant_id = TenantId(tenant.id)
        async with self.database.transaction() as session:
            await TenantRepository(session).add(tenant)
            await MemberRepository(session, tenant_id).add(membership_row(tenant_id, person.user, Role.OWNER, now))
            await self.log(session, tenant_id, person, "tenant.created", tenant_id, name=name)
        await self.forget(person.user)
        return TenantView.of(tenant)

    async def page(self, person: Principal, query: TenantsQuery) -> TenantPage:
        """Return the tenants that the person belongs to."""
        scope = {"tenant_id": person.tenant_id, "listing": f"tenants of {person.user}"}
        place = self.cursors.place(query, **scope)
        found = await self.database.read(tenants_of(person.user, place=place, limit=query.limit))
        last = (found.rows[-1][1].created_at, found.rows[-1][1].tenant_id) if found.more else None
        return TenantPage(
            items=[MyTenant(**TenantView.of(row).model_dump(), role=Role(mine.role)) for row, mine in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last and self.cursors.next(query, place, found, last=last, **scope),
        )

    async def get(self, principal: Principal, tenant_id: str) -> TenantView:
        """Raises ResourceNotFound, as does every method below."""
        async with self.database.reading() as session:
            tenant = await TenantRepository(session).find(acted_in(principal, tenant_id))
        return TenantView.of(_found(tenant, tenant_id))

    async def rename(
        self, principal: Principal, tenant_id: str, name: str, *, expected: frozenset[str] | None
    ) -> TenantView:
        """Raises AuthorizationFailed, PreconditionFailed."""
        async with self.held(principal, tenant_id, Scope.TENANT_WRITE) as (session, tenant, _):
            demand(tenant.version, expected)
            tenant.name, tenant.updated_at = name, self.clock.now()
            tenant.version += 1
            await self.log(session, principal.tenant_id, principal, "tenant.renamed", tenant.id, name=name)
        return TenantView.of(tenant)

    async def delete(self, person: Principal, tenant_id: str) -> TenantDeleted:
        """End the tenant for all: its keys and memberships count no more. Raises AuthorizationFailed."""
        now = self.clock.now()
        async with self.held(person, tenant_id, Scope.TENANT_DELETE) as (session, tenant, _):
            tenant.deleted_at = now
            tenant.version += 1
            await self.log(session, person.tenant_id, person, "tenant.deleted", tenant.id)
        await self.forget(person.user)
        return TenantDeleted(id=tenant.id, deleted_at=now)

    async def members(self, principal: Principal, tenant_id: str, query: MembersQuery) -> MemberPage:
        here = acted_in(principal, tenant_id)
        scope = {"tenant_id": here, "listing": "members"}
        place = self.cursors.place(query, **scope)
        found = await self.database.read(members_of(here, place=place, limit=query.limit))
        last = (found.rows[-1][0].created_at, found.rows[-1][0].user_id) if found.more else None
        return MemberPage(
            items=[MemberView.of(*row) for row in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last and self.cursors.next(query, place, found, last=last, **scope),
        )

    async def change_role(
        self, principal: Principal, tenant_id: str, user_id: str, role: Role, *, expected: frozenset[str] | None
    ) -> MemberView:
        """Raises AuthorizationFailed, PreconditionFailed; Conflict for the last owner."""
        async with self.held(principal, tenant_id, Scope.MEMBERS_WRITE) as (session, _, scopes):
            members = MemberRepository(session, principal.tenant_id)
            membership, user = _found_member(await members.find(_user_id(user_id)), user_id)
            demand(membership.version, expected)
            before = Role(membership.role)
            refuse_above(before, scopes)
            refuse_above(role, scopes)
            if role is not Role.OWNER:
                await _refuse_last_owner(members, before)
            membership.role, membership.updated_at = role.value, self.clock.now()
            membership.version += 1
            await self._log_member(
                session, principal, "member.role_changed", user, before=before.value, role=role.value
            )
        await self.forget(UserId(user.id))
        return MemberView.of(membership, user)

    async def remove_member(self, principal: Principal, tenant_id: str, user_id: str) -> None:
        """Remove a member; anybody may leave. Raises AuthorizationFailed; Conflict for the last owner."""
        leaves = principal.user_id == user_id
        demanded = Scope.MEMBERS_READ if leaves else Scope.MEMBERS_WRITE
        async with self.held(principal, tenant_id, demanded) as (session, _, scopes):
            members = MemberRepository(session, principal.tenant_id)
            membership, user = _found_member(await members.find(_user_id(user_id)), user_id)
            role = Role(membership.role)
            refuse_above(role, scopes)
            await _refuse_last_owner(members, role)
            await members.remove(membership)
            await self._log_member(session, principal, "member.removed", user, role=role.value)
        await self.forget(UserId(user.id))

    @asynccontextmanager
    async def held(
        self, principal: Principal, tenant_id: str, demanded: Scope
    ) -> AsyncIterator[tuple[Session, TenantRow, frozenset[str]]]:
        """Yield the transaction, the tenant, held, and what the principal may do there as of now."""
        here = acted_in(principal, tenant_id)
        async with self.database.transaction() as session:
            tenant = _found(await TenantRepository(session).locked(here), tenant_id)
            scopes = principal.scopes
            if principal.user_id is not None:
                found = await MemberRepository(session, here).find(principal.user_id)
                scopes = frozenset(scopes_of(Role(found[0].role))) if found is not None else frozenset()
            if demanded not in scopes:
                raise AuthorizationFailed("This credential may not do that.", required_scope=demanded)
            yield session, tenant, scopes

    async def forget(self, user_id: UserId) -> None:
        """Look the user's memberships up again, from the commit on."""

        async def forget() -> None:
            self.memberships.forget(user_id)

        await self.database.when_committed(forget)

    async def _log_member(
        self, session: Session, principal: Principal, action: str, user: UserRow, **details: str
    ) -> None:
        await self.log(session, principal.tenant_id, principal, action, user.id, "member", **details)

    async def log(
        self,
        session: Session,
        tenant_id: TenantId,
        principal: Principal,
        action: str,
        resource_id: str,
        resource_type: str = "tenant",
        **details: str,
    ) -> None:
        """Put down what the principal did."""
        await self.audit.append(
            session,
            tenant_id,
            actor=principal.subject,
            action=action,
            resource_type=resource_type,
            resource_id=resource_id,
            details=details,
        )


def membership_row(tenant_id: TenantId, user_id: UserId, role: Role, now: datetime) -> MembershipRow:
    return MembershipRow(
        tenant_id=tenant_id, user_id=user_id, role=role.value, version=1, created_at=now, updated_at=now
    )


def acted_in(principal: Principal, tenant_id: str) -> TenantId:
    if tenant_id != principal.tenant_id:
        raise ResourceNotFound("tenant", tenant_id)
    return principal.tenant_id


def _found(tenant: TenantRow | None, tenant_id: str) -> TenantRow:
    if tenant is None:
        raise ResourceNotFound("tenant", tenant_id)
    return tenant


def _user_id(user_id: str) -> UserId:
    if not is_uuid(user_id):
        raise ResourceNotFound("member", user_id)
    return UserId(user_id)


def _found_member(member: tuple[MembershipRow, UserRow] | None, user_id: str) -> tuple[MembershipRow, UserRow]:
    if member is None:
        raise ResourceNotFound("member", user_id)
    return member


def refuse_above(role: Role, scopes: frozenset[str]) -> None:
    if not may_hand_on(role, scopes):
        raise AuthorizationFailed("That role is above yours.", role=role.value)


async def _refuse_last_owner(members: MemberRepository, role: Role) -> None:
    if role is Role.OWNER and await members.owners() < 2:
        raise Conflict("A tenant keeps at least one owner. Make somebody else an owner first.")

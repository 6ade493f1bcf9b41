"""Who is asked into a tenant, and has no part in it until they accept: by address, whoever has it, if anybody."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from core.errors import Conflict, ResourceNotFound
from core.ids import TenantId, is_uuid
from server.auth.principal import Principal, Scope
from server.auth.tenants.repository import InvitationRepository, MemberRepository, TenantRepository, invited_into
from server.auth.tenants.schemas import InvitationPage, InvitationsQuery, InvitationView, MemberView
from server.auth.tenants.service import Tenants, acted_in, membership_row, refuse_above
from stores.sql.engine import Session
from stores.sql.models import InvitationRow, Role, UserRow

LIFETIME = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitations:
    """One a process. A tenant's row is held while it is decided who joins it, as for all that concerns members."""

    tenants: Tenants
    # The one spelling under which an address is stored, None for what is no address.
    normalised: Callable[[str], str | None]

    async def invite(self, principal: Principal, tenant_id: str, email: str, role: Role) -> InvitationView:
        """Ask whoever has this address to join; asked again, they may accept the newer role.

        The answer and the work are the same whether the address is registered or not. Raises ResourceNotFound,
        AuthorizationFailed; Conflict for a member, and for what is no address.
        """
        address, now = self.normalised(email), self.tenants.clock.now()
        if address is None:
            raise Conflict("Nobody can be invited under this address: it is no email address.")
        async with self.tenants.held(principal, tenant_id, Scope.MEMBERS_WRITE) as (session, _, scopes):
            refuse_above(role, scopes)
            if await MemberRepository(session, principal.tenant_id).has(address):
                raise Conflict("This address belongs to a member.")
            invitations = InvitationRepository(session, principal.tenant_id)
            earlier = await invitations.to(address)
            if earlier is not None:
                refuse_above(Role(earlier.role), scopes)
                await invitations.remove(earlier)
            row = InvitationRow(
                id=self.tenants.new_id(),
                tenant_id=principal.tenant_id,
                email=address,
                role=role.value,
                created_at=now,
                expires_at=now + LIFETIME,
            )
            await invitations.add(row)
            await self._log(session, principal.tenant_id, principal, "member.invited", row)
        return InvitationView.of(row)

    async def page(self, principal: Principal, tenant_id: str, query: InvitationsQuery) -> InvitationPage:
        """Raises ResourceNotFound."""
        here = acted_in(principal, tenant_id)
        scope = {"tenant_id": here, "listing": "invitations"}
        cursors = self.tenants.cursors
        place = cursors.place(query, **scope)
        found = await self.tenants.database.read(invited_into(here, place=place, limit=query.limit))
        last = (found.rows[-1].created_at, found.rows[-1].id) if found.more else None
        return InvitationPage(
            items=[InvitationView.of(row) for row in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last and cursors.next(query, place, found, last=last, **scope),
        )

    async def withdraw(self, principal: Principal, tenant_id: str, invitation_id: str) -> None:
        """Take an invitation back. Raises ResourceNotFound, AuthorizationFailed."""
        async with self.tenants.held(principal, tenant_id, Scope.MEMBERS_WRITE) as (session, _, scopes):
            invitations = InvitationRepository(session, principal.tenant_id)
            row = await invitations.find(invitation_id) if is_uuid(invitation_id) else None
            if row is None:
                raise ResourceNotFound("invitation", invitation_id)
            refuse_above(Role(row.role), scopes)
            await invitations.remove(row)
            await self._log(session, principal.tenant_id, principal, "invitation.withdrawn", row)

    async def accept(self, person: Principal, tenant_id: str) -> MemberView:
        """Make the person a member. Raises ResourceNotFound unless they are invited, as of now."""
        async with self.tenants.database.transaction() as session:
            row, user = await self._own(session, person, tenant_id)
            joined = membership_row(TenantId(row.tenant_id), person.user, Role(row.role), self.tenants.clock.now())
            await InvitationRepository(session, TenantId(row.tenant_id)).remove(row)
            await MemberRepository(session, TenantId(row.tenant_id)).add(joined)
            await self._log(session, TenantId(row.tenant_id), person, "member.joined", row)
        await self.tenants.forget(person.user)
        return MemberView.of(joined, user)

    async def decline(self, person: Principal, tenant_id: str) -> str:
        """Return the id of the invitation that the person does not want. Raises ResourceNotFound as `accept`."""
        async with self.tenants.database.transaction() as session:
            row, _ = await self._own(session, person, tenant_id)
            await InvitationRepository(session, TenantId(row.tenant_id)).remove(row)
            await self._log(session, TenantId(row.tenant_id), person, "invitation.declined", row)
        return row.id

    async def _own(self, session: Session, person: Principal, tenant_id: str) -> tuple[InvitationRow, UserRow]:
        """Hold the tenant; return the invitation of the person into it, and who they are."""
        there = TenantId(tenant_id)
        if is_uuid(tenant_id) and await TenantRepository(session).locked(there) is not None:
            invitations = InvitationRepository(session, there)
            user = await invitations.user(person.user)
            row = await invitations.to(user.email) if user is not None else None
            if user is not None and row is not None and self.tenants.clock.now() < row.expires_at:
                return row, user
        raise ResourceNotFound("invitation", tenant_id)

    async def _log(
        self, session: Session, tenant_id: TenantId, principal: Principal, action: str, row: InvitationRow
    ) -> None:
        await self.tenants.log(session, tenant_id, principal, action, row.id, "invitation", role=row.role)

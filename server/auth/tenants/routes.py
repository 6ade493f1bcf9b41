"""Tenants and their members. X-Tenant-ID selects the tenant one acts in; its path is found there only."""

from typing import TYPE_CHECKING, Annotated

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, PreconditionFailed, ResourceNotFound
from server.auth.principal import MembersReader, MembersWriter, Person, Principal, Scope, TenantReader, TenantWriter
from server.auth.tenants.schemas import (
    ChangedMember,
    InvitationEnded,
    InvitationPage,
    InvitationsQuery,
    InvitationView,
    MemberPage,
    MemberRemoved,
    MembersQuery,
    MemberView,
    NewMember,
    NewTenant,
    RenamedTenant,
    TenantDeleted,
    TenantPage,
    TenantsQuery,
    TenantView,
)
from server.openapi.answers import answered
from server.openapi.preconditions import IF_MATCH, etag_of, expected_tags
from server.openapi.registry import Operations, Requires

if TYPE_CHECKING:
    from server.auth.tenants.invitations.service import Invitations
    from server.auth.tenants.service import Tenants

tenants = Operations("tenants", "/api/v1/tenants")

# No key ends a tenant: an owner does, in a session.
Owner = Annotated[Principal, Requires(Scope.TENANT_DELETE, person=True)]


def _tenants(request: Request) -> "Tenants":
    service: Tenants = request.app.ctx.parts.tenants
    return service


def _invitations(request: Request) -> "Invitations":
    service: Invitations = request.app.ctx.parts.invitations
    return service


def _shown(view: TenantView | MemberView | InvitationView, *, status: int = 200) -> HTTPResponse:
    return answered(view, status=status, headers={"etag": etag_of(view.version)})


@tenants.operation("POST", "", answers={201: TenantView})
async def create_tenant(request: Request, person: Person, body: NewTenant) -> HTTPResponse:
    """Make a further tenant. Whoever makes it owns it."""
    return _shown(await _tenants(request).create(person, body.name), status=201)


@tenants.operation("GET", "", answers={200: TenantPage})
async def list_tenants(request: Request, person: Person, query: TenantsQuery) -> HTTPResponse:
    """List the tenants you belong to, with your role in each."""
    return answered(await _tenants(request).page(person, query))


@tenants.operation("GET", "/{tenant_id}", answers={200: TenantView}, errors=[ResourceNotFound])
async def get_tenant(request: Request, principal: TenantReader, tenant_id: str) -> HTTPResponse:
    """Show the tenant you act in; select another of yours by X-Tenant-ID."""
    return _shown(await _tenants(request).get(principal, tenant_id))


@tenants.operation(
    "PATCH",
    "/{tenant_id}",
    answers={200: TenantView},
    errors=[ResourceNotFound, PreconditionFailed],
    headers=[IF_MATCH],
)
async def rename_tenant(request: Request, principal: TenantWriter, tenant_id: str, body: RenamedTenant) -> HTTPResponse:
    """Give the tenant another name."""
    return _shown(await _tenants(request).rename(principal, tenant_id, body.name, expected=expected_tags(request)))


@tenants.operation("DELETE", "/{tenant_id}", answers={200: TenantDeleted}, errors=[ResourceNotFound])
async def delete_tenant(request: Request, owner: Owner, tenant_id: str) -> HTTPResponse:
    """End the tenant. Its keys and memberships end with it, and nobody reaches its documents any more."""
    return answered(await _tenants(request).delete(owner, tenant_id))


@tenants.operation("GET", "/{tenant_id}/members", answers={200: MemberPage}, errors=[ResourceNotFound])
async def list_members(request: Request, principal: MembersReader, tenant_id: str, query: MembersQuery) -> HTTPResponse:
    """List the members, the oldest membership first."""
    return answered(await _tenants(request).members(principal, tenant_id, query))


@tenants.operation("POST", "/{tenant_id}/members", answers={201: InvitationView}, errors=[ResourceNotFound, Conflict])
async def add_member(request: Request, principal: MembersWriter, tenant_id: str, body: NewMember) -> HTTPResponse:
    """Invite somebody, in a role no higher than your own. They are a member once they accept."""
    return _shown(await _invitations(request).invite(principal, tenant_id, body.email, body.role), status=201)


@tenants.operation("GET", "/{tenant_id}/invitations", answers={200: InvitationPage}, errors=[ResourceNotFound])
async def list_invitations(
    request: Request, principal: MembersReader, tenant_id: str, query: InvitationsQuery
) -> HTTPResponse:
    """List who was invited and has not answered, the oldest invitation first."""
    return answered(await _invitations(request).page(principal, tenant_id, query))


@tenants.operation(
    "DELETE",
    "/{tenant_id}/invitations/{invitation_id}",
    answers={200: InvitationEnded},
    errors=[ResourceNotFound],
)
async def withdraw_invitation(
    request: Request, principal: MembersWriter, tenant_id: str, invitation_id: str
) -> HTTPResponse:
    """Take an invitation back."""
    await _invitations(request).withdraw(principal, tenant_id, invitation_id)
    return answered(InvitationEnded(id=invitation_id))


@tenants.operation("POST", "/{tenant_id}/accept", answers={200: MemberView}, errors=[ResourceNotFound])
async def accept_invitation(request: Request, person: Person, tenant_id: str) -> HTTPResponse:
    """Join a tenant that you are invited into, whichever you act in. `GET /auth/me` lists your invitations."""
    return _shown(await _invitations(request).accept(person, tenant_id))


@tenants.operation("POST", "/{tenant_id}/decline", answers={200: InvitationEnded}, errors=[ResourceNotFound])
async def decline_invitation(request: Request, person: Person, tenant_id: str) -> HTTPResponse:
    """Refuse an invitation."""
    return answered(InvitationEnded(id=await _invitations(request).decline(person, tenant_id)))


@tenants.operation(
    "PATCH",
    "/{tenant_id}/members/{user_id}",
    answers={200: MemberView},
    errors=[ResourceNotFound, Conflict, PreconditionFailed],
    headers=[IF_MATCH],
)
async def change_member(
    request: Request, principal: MembersWriter, tenant_id: str, user_id: str, body: ChangedMember
) -> HTTPResponse:
    """Change a member's role. The last owner stays one."""
    expected = expected_tags(request)
    return _shown(await _tenants(request).change_role(principal, tenant_id, user_id, body.role, expected=expected))


@tenants.operation(
    "DELETE",
    "/{tenant_id}/members/{user_id}",
    answers={200: MemberRemoved},
    errors=[ResourceNotFound, Conflict],
)
async def remove_member(request: Request, principal: MembersReader, tenant_id: str, user_id: str) -> HTTPResponse:
    """Remove a member, which takes `members:write`, or leave: anybody may, but for the last owner."""
    await _tenants(request).remove_member(principal, tenant_id, user_id)
    return answered(MemberRemoved(user_id=user_id))

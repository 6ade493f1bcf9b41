"""What is asked of tenants and their members, and answered."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field

from server.openapi.models import Answer, JsonBody
from server.openapi.pagination import Page, PageQuery
from stores.sql.models import InvitationRow, MembershipRow, Role, TenantRow, UserRow


def _named(value: str) -> str:
    if not value.strip():
        raise ValueError("The name is empty")
    return value.strip()


Name = Annotated[str, AfterValidator(_named), Field(min_length=1, max_length=200, json_schema_extra={"pattern": r"\S"})]
RoleName = Annotated[Role, Field(strict=False, description="No higher than your own.")]


class NewTenant(JsonBody):
    name: Name


class RenamedTenant(JsonBody):
    name: Name


class NewMember(JsonBody):
    email: str = Field(min_length=3, max_length=320, description="Of the account that is to accept.")
    role: RoleName


class ChangedMember(JsonBody):
    role: RoleName


class TenantsQuery(PageQuery):
    pass


class MembersQuery(PageQuery):
    pass


class InvitationsQuery(PageQuery):
    pass


class TenantView(Answer):
    id: str
    name: str
    plan: str
    created_at: datetime
    version: int

    @classmethod
    def of(cls, row: TenantRow) -> Self:
        return cls(id=row.id, name=row.name, plan=row.plan, created_at=row.created_at, version=row.version)


class MyTenant(TenantView):
    role: Role = Field(description="Yours there.")


class MemberView(Answer):
    user_id: str
    email: str
    name: str
    role: Role
    created_at: datetime
    version: int

    @classmethod
    def of(cls, membership: MembershipRow, user: UserRow) -> Self:
        return cls(
            user_id=user.id,
            email=user.email,
            name=user.name,
            role=Role(membership.role),
            created_at=membership.created_at,
            version=membership.version,
        )


class InvitationView(Answer):
    """Has a member's fields, too: who is invited stands where they will stand."""

    id: str
    tenant_id: str
    user_id: str = Field(description="The invitation's id: whose address it is, if anybody's, is not told.")
    email: str
    name: str = Field(description="Empty, for the same reason.")
    role: Role
    created_at: datetime
    expires_at: datetime
    version: int

    @classmethod
    def of(cls, row: InvitationRow) -> Self:
        return cls(
            id=row.id,
            tenant_id=row.tenant_id,
            user_id=row.id,
            email=row.email,
            name="",
            role=Role(row.role),
            created_at=row.created_at,
            expires_at=row.expires_at,
            version=1,
        )


class InvitationPage(Page[InvitationView]):
    pass


class InvitationEnded(Answer):
    id: str


class TenantPage(Page[MyTenant]):
    pass


class MemberPage(Page[MemberView]):
    pass


class TenantDeleted(Answer):
    id: str
    deleted_at: datetime


class MemberRemoved(Answer):
    user_id: str

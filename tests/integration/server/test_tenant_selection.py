"""X-Tenant-ID selects among the caller's tenants, and tells nothing about any other."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest
from sqlalchemy import delete, update

from core.clock import FrozenClock
from core.errors import AuthorizationFailed, ValidationFailed
from core.ids import TenantId, UserId, new_id
from server.auth.api_keys.service import ApiKeys, create_tenant
from server.auth.authentication import NO_TENANT, Authentication
from server.auth.tenants.roles import scopes_of
from server.auth.tenants.service import Memberships
from stores.sql.engine import Database
from stores.sql.models import MembershipRow, Role, TenantRow, UserRow
from tests.factories.tokens import access_tokens
from tests.integration.server.running import Api

DOCUMENTS = "/api/v1/rag/documents"
MALFORMED = ["", "x", "00000000-0000-0000-0000-00000000000A", "{0}", "00000000000000000000000000000000", "*"]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def authentication(database: Database, clock: FrozenClock) -> Authentication:
    return Authentication(ApiKeys(database, clock), Memberships(database, clock), access_tokens(database, clock))


async def a_user(database: Database, now: datetime) -> UserId:
    user_id = UserId(new_id())
    async with database.transaction() as session:
        session.add(
            UserRow(id=user_id, email=f"{user_id}@example", name="", password_hash="", created_at=now, updated_at=now)
        )
    return user_id


async def a_membership(database: Database, clock: FrozenClock, user_id: UserId, role: Role) -> TenantId:
    """Return a tenant to which the user belongs from now on. A second passes."""
    tenant_id = await create_tenant(database, clock, "test")
    now = clock.now()
    async with database.transaction() as session:
        session.add(
            MembershipRow(tenant_id=tenant_id, user_id=user_id, role=role, version=1, created_at=now, updated_at=now)
        )
    clock.advance(timedelta(seconds=1))
    return tenant_id


async def test_a_user_acts_in_the_tenant_they_select(
    database: Database, clock: FrozenClock, authentication: Authentication
) -> None:
    """With the scopes of their role there; without the header, in the one they joined first."""
    user = await a_user(database, clock.now())
    first = await a_membership(database, clock, user, Role.OWNER)
    second = await a_membership(database, clock, user, Role.VIEWER)
    assert await authentication.acting(user, tenant=None) == (first, scopes_of(Role.OWNER), "default")
    assert await authentication.acting(user, tenant=second) == (second, scopes_of(Role.VIEWER), "default")


async def test_a_user_has_the_plan_of_the_tenant(
    database: Database, clock: FrozenClock, authentication: Authentication
) -> None:
    """As keys have it: a plan that changes counts within five seconds."""
    user = await a_user(database, clock.now())
    tenant_id = await a_membership(database, clock, user, Role.VIEWER)
    assert (await authentication.acting(user, tenant=tenant_id))[2] == "default"
    async with database.transaction() as session:
        await session.execute(update(TenantRow).values(plan="large"))
    clock.advance(timedelta(seconds=5))
    assert (await authentication.acting(user, tenant=tenant_id))[2] == "large"


async def test_a_user_selects_no_other_tenant(
    database: Database, clock: FrozenClock, authentication: Authentication
) -> None:
    """Another's and nobody's are refused in the same words, a malformed one as such; no tenant means no scope."""
    user, other = await a_user(database, clock.now()), await a_user(database, clock.now())
    assert await authentication.acting(user, tenant=None) == (NO_TENANT, frozenset(), "default")
    foreign = await a_membership(database, clock, other, Role.OWNER)
    refusals = []
    for tenant in (foreign, new_id(), NO_TENANT):
        with pytest.raises(AuthorizationFailed) as refused:
            await authentication.acting(user, tenant=tenant)
        refusals.append((refused.value.message, dict(refused.value.details)))
    assert refusals[0] == refusals[1] == refusals[2]
    for tenant in MALFORMED:
        with pytest.raises(ValidationFailed):
            await authentication.acting(user, tenant=tenant)


@pytest.mark.parametrize("end", [delete(MembershipRow), update(TenantRow).values(deleted_at=FrozenClock().now())])
async def test_a_membership_ends_within_five_seconds(
    database: Database, clock: FrozenClock, authentication: Authentication, end: object
) -> None:
    """Removed, or its tenant deleted: a process that has just seen it forgets it in time."""
    user = await a_user(database, clock.now())
    tenant_id = await a_membership(database, clock, user, Role.OWNER)
    assert (await authentication.acting(user, tenant=None))[0] == tenant_id
    async with database.transaction() as session:
        await session.execute(end)  # type: ignore[call-overload]
    clock.advance(timedelta(seconds=5))
    with pytest.raises(AuthorizationFailed):
        await authentication.acting(user, tenant=tenant_id)


async def test_a_key_acts_in_its_own_tenant_only(api: Api) -> None:
    """Naming that one changes nothing. Another's and nobody's get the same bytes; malformed or repeated get 400."""
    tenant_id, key = await api.tenant()
    foreign, _ = await api.tenant()
    async with api.client(key) as client:

        async def ask(*tenants: str) -> httpx.Response:
            headers = [("x-request-id", "same"), *(("x-tenant-id", tenant) for tenant in tenants)]
            return await client.get(DOCUMENTS, headers=headers)

        assert (await ask(tenant_id)).status_code == 200
        theirs, nobodys = await ask(foreign), await ask(new_id())
        assert (theirs.status_code, theirs.json()["error"]["code"]) == (403, "AUTHORIZATION_FAILED")
        assert (theirs.content, theirs.status_code) == (nobodys.content, nobodys.status_code)
        for tenants in [[given] for given in MALFORMED] + [[tenant_id, tenant_id], [tenant_id, foreign]]:
            refused = await ask(*tenants)
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "VALIDATION_ERROR"), tenants

"""The tenant matrix once more, for people: what only somebody in a session may ask, and what their role allows."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from core.clock import SystemClock
from core.ids import TenantId, UserId, new_id
from server import wiring
from server.auth.sessions.passwords import Passwords
from server.auth.tenants.roles import scopes_of
from server.openapi.registry import Operation
from stores import embedded_redis
from stores.sql.models import MembershipRow, Role
from tests.integration.server.running import Api, running, settings_for
from tests.integration.server.test_tenant_matrix import MALFORMED, House, call, furnished, guarded, own_ids, row_of

PASSWORD = "a long sentence of my own"


@dataclass(frozen=True, kw_only=True)
class Person:
    user_id: UserId
    access_token: str


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the embedded one only: what is counted in it is no part of the matrix."""
    with embedded_redis.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
async def api(database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(wiring, "Passwords", lambda: Passwords(cheap))
    async with running(settings_for(tmp_path, database_url, redis_url=redis_url)) as api:
        yield api


async def logged_in(api: Api, house: House | None, role: Role = Role.OWNER) -> Person:
    """Return somebody who registered and logged in over HTTP, and has `role` in the house's tenant."""
    account = {"email": f"{new_id()}@example.com", "password": PASSWORD}
    async with api.client() as client:
        registered = (await client.post("/api/v1/auth/register", json=account | {"name": "Ada"})).json()
        user_id = UserId(registered["user"]["id"])
        if house is not None:  # before the log-in, which remembers memberships for some seconds
            await join(api, house, user_id, role)
        pair = (await client.post("/api/v1/auth/token", json=account)).json()
    return Person(user_id=user_id, access_token=pair["access_token"])


async def join(api: Api, house: House, user_id: UserId, role: Role) -> None:
    now = SystemClock().now()
    async with api.database.transaction() as session:
        session.add(
            MembershipRow(
                tenant_id=house.tenant_id, user_id=user_id, role=role, version=1, created_at=now, updated_at=now
            )
        )


async def asked(
    client: httpx.AsyncClient, operation: Operation, ids: dict[str, str], tenant_id: TenantId
) -> httpx.Response:
    """Ask in the tenant that the header names."""
    return await call(client, operation, ids, (tenant_id,))


async def untouched(api: Api, house: House) -> None:
    """Whatever was asked, the house has what it had."""
    async with api.client(house.key) as client:
        for path in ("rag/documents/{document}", "auth/api-keys/{key}", "tenants/{tenant}"):
            assert (await client.get(f"/api/v1/{path.format(**house.ids)}")).status_code == 200
        members = (await client.get(f"/api/v1/tenants/{house.tenant_id}/members")).json()["items"]
    assert [member["role"] for member in members if member["user_id"] == house.ids["member"]] == ["viewer"]


async def test_another_tenants_id_is_nobodys_for_its_owner_too(api: Api) -> None:
    """In each parameter of each path, asked by an owner in a session: 404 with the bytes of an unknown id."""
    mine, theirs = await furnished(api), await furnished(api)
    owner = await logged_in(api, mine)
    cells = set()
    async with api.client(owner.access_token) as client:
        for operation in guarded():
            for name, kind in row_of(operation).ids.items():
                unknown = new_id()
                foreign = await asked(
                    client, operation, own_ids(mine, operation) | {name: theirs.ids[kind]}, mine.tenant_id
                )
                nobodys = await asked(client, operation, own_ids(mine, operation) | {name: unknown}, mine.tenant_id)
                assert (foreign.status_code, nobodys.status_code) == (404, 404), (operation.name, name, foreign.text)
                assert foreign.content.replace(theirs.ids[kind].encode(), unknown.encode()) == nobodys.content
                cells.add((operation.name, name))
    assert {("end_session", "session_id"), ("delete_tenant", "tenant_id"), ("remove_member", "user_id")} <= cells
    await untouched(api, theirs)


async def test_no_header_leads_a_person_to_another_tenant(api: Api) -> None:
    """Another's tenant gets the bytes that nobody's gets, 403; a malformed or repeated one gets 400. On everything."""
    mine, theirs = await furnished(api), await furnished(api)
    owner = await logged_in(api, mine)
    people_only = 0
    async with api.client(owner.access_token) as client:
        for operation in guarded():
            ids = own_ids(mine, operation)
            foreign = await call(client, operation, ids, (theirs.tenant_id,))
            nobodys = await call(client, operation, ids, (new_id(),))
            assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "AUTHORIZATION_FAILED"), operation
            assert foreign.content == nobodys.content
            for tenants in [*((given,) for given in MALFORMED), (mine.tenant_id,) * 2, (mine.tenant_id, new_id())]:
                refused = await call(client, operation, ids, tenants)
                assert (refused.status_code, refused.json()["error"]["code"]) == (400, "VALIDATION_ERROR"), operation
            people_only += operation.requires is not None and operation.requires.person
        assert (await client.get("/api/v1/auth/me")).status_code == 200  # nothing of all this was carried out
    assert people_only >= 11
    await untouched(api, theirs)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
async def test_no_role_does_more_than_it_may(api: Api, role: Role) -> None:
    """What the role lacks is 403 and named; what it has is not; and a member's act against another is refused."""
    house = await furnished(api)
    person = await logged_in(api, house, role)
    refused = set()
    async with api.client(person.access_token) as client:
        for operation in guarded():
            ids = own_ids(house, operation)
            if operation.scope in {None, *scopes_of(role)}:
                # Asked for nobody's things: that it is let through shows, and nothing happens.
                if ids and operation.scope is not None:
                    nobodys = await asked(client, operation, dict.fromkeys(ids, new_id()), house.tenant_id)
                    assert nobodys.status_code == 404, operation
                continue
            answer = await asked(client, operation, ids, house.tenant_id)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AUTHORIZATION_FAILED"), operation
            assert answer.json()["error"]["details"] == {"required_scope": operation.scope}
            refused.add(operation.name)
        [removal] = [operation for operation in guarded() if operation.name == "remove_member"]
        answer = await asked(client, removal, own_ids(house, removal), house.tenant_id)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AUTHORIZATION_FAILED")
    for everybody in ("delete_tenant", "rename_tenant", "add_member", "change_member"):
        assert everybody in refused
    assert ({"ingest", "ingest_v0", "delete_document", "create_api_key"} <= refused) == (role is Role.VIEWER)
    await untouched(api, house)


async def test_who_belongs_nowhere_any_more_may_do_nothing_there(api: Api) -> None:
    """Somebody else's tenant opens by no operation to a person of another one, whatever they are there."""
    house = await furnished(api)
    stranger = await logged_in(api, None)
    async with api.client(stranger.access_token) as client:
        for operation in guarded():
            ids = own_ids(house, operation)
            if not ids:
                continue
            answer = await call(client, operation, ids)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "RESOURCE_NOT_FOUND"), operation
    await untouched(api, house)

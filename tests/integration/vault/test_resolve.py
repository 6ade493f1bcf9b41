"""What flows are given: the current version, for a host that it may go to, written down each time."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from core.clock import FrozenClock
from core.errors import AuthorizationFailed, MfaRequired, ResourceNotFound, SecretExpired
from core.ids import TenantId
from stores.sql.engine import Database
from stores.sql.models import OutboxRow, SecretUseRow, TenantRow
from tests.factories.safes import a_safe
from vault.access import Terms
from vault.safe import Safe

TENANT, OTHER = TenantId("t"), TenantId("other")
CLOCK = FrozenClock()


@pytest.fixture
async def safe(database_url: str) -> AsyncIterator[Safe]:
    database = Database(database_url)
    async with database.transaction() as session:
        session.add_all(TenantRow(id=tenant, name="t", created_at=CLOCK.now()) for tenant in (TENANT, OTHER))
    yield a_safe(database, CLOCK)
    await database.dispose()


async def put(safe: Safe, key: str, value: str, **terms: object) -> None:
    await safe.put(TENANT, key, value, Terms(**terms), expires_at=None, cas=None, by="key:k")  # type: ignore[arg-type]


async def resolved(safe: Safe, key: str, host: str, tenant_id: TenantId = TENANT) -> str:
    found = await safe.resolve(tenant_id, key, host=host, principal="key:k", flow="f", execution="e")
    assert found.value not in repr(found)
    return found.value


async def denials(safe: Safe) -> list[str]:
    query = select(OutboxRow.payload).where(OutboxRow.type == "vault.secret.denied").order_by(OutboxRow.sequence)
    return [payload["reason"] for (payload,) in await safe.database.rows(query)]


async def test_a_flow_gets_a_secret_for_the_hosts_it_may_go_to(safe: Safe) -> None:
    """By exact name, or below a name; however the host is spelled; anywhere else it is refused, and that is told."""
    await put(safe, "k", "hunter2", allowed_hosts=["api.example.com", "*.example.net"])
    for host in ("api.example.com", "API.EXAMPLE.COM", "api.example.com.", "a.b.example.net"):
        assert await resolved(safe, "k", host) == "hunter2"
    refused = [
        "example.com",
        "xapi.example.com",
        "api.example.com.evil.org",
        "example.net",
        "evilexample.net",
        "10.0.0.1",
    ]
    for host in refused:
        with pytest.raises(AuthorizationFailed):
            await resolved(safe, "k", host)
    assert await denials(safe) == ["host_not_allowed"] * len(refused)


async def test_what_is_no_host_gets_no_secret(safe: Safe) -> None:
    """A port, a path, a user, other scripts, nothing at all, or what no database stores: also where any host may."""
    await put(safe, "k", "hunter2")
    for host in ("", "a b", "a:b@c", "a/b", "é.example", "a\0b", "\ud800", "[::1]", "h" * 256, "a\n"):
        with pytest.raises(AuthorizationFailed):
            await resolved(safe, "k", host)
    for host in ("localhost", "127.0.0.1", "::1", "my_service", "h" * 255):
        assert await resolved(safe, "k", host) == "hunter2"


@pytest.mark.parametrize(
    "key", ["", "a\0b", "\ud800", "e\u0301", "K", "../k", "k/", "k" * 70_000, "k; DROP TABLE", "%"]
)
async def test_what_is_no_key_is_not_found(safe: Safe, key: str) -> None:
    """A key that came out of a template may be anything; none of it reaches the database, nor is it repeated whole."""
    await put(safe, "k", "hunter2")
    with pytest.raises(ResourceNotFound) as refused:
        await resolved(safe, key, "h")
    str(refused.value.details).encode()
    assert len(str(refused.value.details)) < 400


async def test_each_use_is_written_down(safe: Safe) -> None:
    """With flow, execution and host; another tenant finds nothing; the newest version is what is given."""
    await put(safe, "k", "first-value")
    await resolved(safe, "k", "h1")
    await put(safe, "k", "second-value")
    assert await resolved(safe, "k", "h2") == "second-value"
    with pytest.raises(ResourceNotFound):
        await resolved(safe, "k", "h", OTHER)
    query = select(SecretUseRow.version, SecretUseRow.host, SecretUseRow.flow, SecretUseRow.execution)
    assert {tuple(row) for row in await safe.database.rows(query)} == {(1, "h1", "f", "e"), (2, "h2", "f", "e")}


async def test_an_execution_that_runs_is_refused_like_any_other(safe: Safe) -> None:
    """Once it has expired, was deleted, or takes a second factor: no longer, though it was given out a moment ago."""
    ends = CLOCK.now() + timedelta(minutes=5)
    await safe.put(TENANT, "ends", "hunter2", Terms(), expires_at=ends, cas=None, by="key:k")
    for key in ("deleted", "guarded"):
        await put(safe, key, "hunter2")
    for key in ("ends", "deleted", "guarded"):
        assert await resolved(safe, key, "h") == "hunter2"
    CLOCK.advance(timedelta(minutes=5))
    await safe.delete(TENANT, "deleted", by="key:k")
    await put(safe, "guarded", "hunter2", require_mfa=True)
    for key, refusal in (("ends", SecretExpired), ("deleted", ResourceNotFound), ("guarded", MfaRequired)):
        with pytest.raises(refusal):
            await resolved(safe, key, "h")
    assert await denials(safe) == ["expired", "mfa_required"]

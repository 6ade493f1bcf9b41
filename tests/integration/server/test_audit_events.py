"""What a tenant sees of its audit log, and what an operator is told about the chains."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, select, update

from core.clock import SystemClock
from core.ids import TenantId
from server.auth.api_keys.service import create_tenant
from server.auth.principal import Scope
from server.cli import admin
from stores.audit import AuditLog, verify
from stores.sql.engine import Database
from stores.sql.models import AuditEventRow, AuditHeadRow
from tests.integration.server.running import Api, settings_for
from tests.integration.server.test_documents import DOCUMENTS, post

EVENTS = "/api/v1/audit/events"


async def events(client: httpx.AsyncClient, **query: Any) -> Any:
    response = await client.get(EVENTS, params=query)
    assert response.status_code == 200, response.text
    return response.json()


async def test_changes_of_documents_are_on_record(api: Api) -> None:
    """Posted, indexed anew, deleted: by whom, in which request, and the chain holds."""
    tenant_id, key = await api.tenant()
    async with api.client(key) as client:
        document_id = (await post(client))["document_id"]
        await api.work()
        await client.post(f"{DOCUMENTS}/{document_id}/reprocess")
        deleted = await client.delete(f"{DOCUMENTS}/{document_id}", headers={"x-request-id": "the-deletion"})
        assert deleted.status_code == 202
        assert (await client.delete(f"{DOCUMENTS}/{document_id}")).status_code == 404  # no change, no entry
        page = await events(client, resource_type="document", resource_id=document_id)
    actions = [event["action"] for event in page["items"]]
    assert actions == ["document.deleted", "document.reprocessed", "document.ingested"]
    assert page["total"] == 3
    assert page["items"][0]["request_id"] == "the-deletion"
    assert {event["actor"].partition(":")[0] for event in page["items"]} == {"key"}
    async with api.database.reading() as session:
        verdict = await verify(session, TenantId(tenant_id))
    assert (verdict.links, verdict.holds) == (3, True)


async def test_pages_and_filters(client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    """A walk by cursor sees every entry once while more are made; filters narrow it; other tenants see none of it."""
    for _ in range(5):
        await post(client)
    seen, cursor = [], None
    while True:
        page = await events(client, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [event["sequence"] for event in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        await post(client)
    assert seen == [5, 4, 3, 2, 1]
    oldest = (await events(client, skip=6))["items"]
    assert [event["sequence"] for event in oldest] == [1]
    moment = oldest[0]["occurred_at"]
    assert (await events(client, until=moment))["total"] == 0
    assert (await events(client, since=moment))["total"] == 7
    assert (await events(client, action="document.deleted"))["total"] == 0
    assert (await events(client, actor=oldest[0]["actor"]))["total"] == 7
    assert (await events(client, request_id=oldest[0]["request_id"]))["items"] == oldest
    assert (await events(stranger))["total"] == 0
    assert (await client.get(EVENTS, params={"since": "yesterday"})).status_code == 400


async def test_who_may_not_read_it_does_not(api: Api) -> None:
    """The scope is audit:read."""
    _, key = await api.tenant([scope for scope in Scope if scope is not Scope.AUDIT_READ])
    async with api.client(key) as client:
        assert (await client.get(EVENTS)).status_code == 403


def test_an_operator_is_told_of_the_first_broken_link(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All chains are walked; the one that was tampered with is named, with the entry, and the exit status is 1."""
    settings, clock = settings_for(tmp_path, database_url), SystemClock()

    async def prepared() -> list[TenantId]:
        database = Database(database_url)
        tenants = [await create_tenant(database, clock, "test") for _ in range(2)]
        for tenant_id in tenants:
            for number in range(3):
                async with database.transaction() as session:
                    await AuditLog(clock).append(
                        session, tenant_id, actor="a", action="b", resource_type="c", resource_id=str(number)
                    )
        await database.dispose()
        return tenants

    async def done(statement: Any) -> None:
        database = Database(database_url)
        async with database.transaction() as session:
            await session.execute(statement)
        await database.dispose()

    async def found(query: Any) -> list[str]:
        database = Database(database_url)
        async with database.reading() as session:
            values = list(await session.scalars(query))
        await database.dispose()
        return values

    whole, tampered = asyncio.run(prepared())
    assert admin.main(settings, ["audit", "verify"]) == 0
    assert capsys.readouterr().out.count("3 entries hold") == 2
    its_own = AuditEventRow.tenant_id == tampered
    asyncio.run(done(update(AuditEventRow).where(its_own, AuditEventRow.sequence == 2).values(actor="another")))
    assert admin.main(settings, ["audit", "verify"]) == 1
    told = capsys.readouterr()
    assert told.err == f"tenant {tampered}: entry 2 was changed.\n"
    [head] = asyncio.run(found(select(AuditHeadRow.hash).where(AuditHeadRow.tenant_id == whole)))
    assert told.out == f"tenant {whole}: 3 entries hold; the newest hash is {head}\n"
    assert admin.main(settings, ["audit", "verify", "--tenant", whole]) == 0
    asyncio.run(done(delete(AuditEventRow).where(its_own)))
    assert admin.main(settings, ["audit", "verify", "--tenant", tampered]) == 1

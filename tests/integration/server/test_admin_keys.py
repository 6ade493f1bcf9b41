"""`python -m server admin create-key`: a key of a tenant, on record; or a sentence that says what is wrong."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select

from core.clock import SystemClock
from core.ids import new_id
from server.auth.api_keys.service import ApiKeys, create_tenant
from server.cli import admin
from server.cli.refusal import Refusal
from stores.sql.engine import Database
from stores.sql.models import AuditEventRow
from tests.integration.server.running import settings_for


def test_an_operator_makes_a_key(database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is printed, works for its scopes, and is on record as the operator's."""
    database = Database(database_url)
    settings = settings_for(tmp_path, database_url)

    async def prepared() -> str:
        tenant_id = await create_tenant(database, SystemClock(), "test")
        await database.dispose()
        return tenant_id

    async def found(key: str) -> tuple[object, object, object]:
        principal = await ApiKeys(database, SystemClock()).find(key)
        async with database.reading() as session:
            actor = await session.scalar(select(AuditEventRow.actor))
        await database.dispose()
        assert principal is not None
        return principal.tenant_id, principal.scopes, actor

    tenant_id = asyncio.run(prepared())
    admin.main(settings, ["create-key", "--tenant", tenant_id, "--name", "ci", "--scope", "rag:read"])
    assert asyncio.run(found(capsys.readouterr().out.strip())) == (tenant_id, {"rag:read"}, "operator")
    for wrong in (["--tenant", new_id()], ["--tenant", tenant_id, "--scope", "rag:everything"]):
        with pytest.raises(Refusal):
            admin.main(settings, ["create-key", "--name", "ci", *wrong])

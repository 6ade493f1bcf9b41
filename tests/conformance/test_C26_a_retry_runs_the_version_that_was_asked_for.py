"""C26: a retry that uses the wrong version, or cannot begin again (n8n-io/n8n 12957, 32131, 25735)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.errors import Conflict
from server.agents.executions.schemas import ForkBody, ResumeBody
from server.agents.executions.service import ExecutionService, NewExecution
from stores.sql.engine import Database
from tests.factories.flows import flow
from tests.integration.agents.flows import flow_of
from tests.integration.agents.workers import TENANT, a_tenant, a_worker, caller, service


def version(text: str) -> dict[str, object]:
    return flow({"start": ("input", {}), "say": ("template", {"template": text})}, ("start", "say"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await a_tenant(database)
    yield database
    await database.dispose()


async def _result(asked: ExecutionService, execution_id: str) -> tuple[str, object, int]:
    view = await asked.wait(caller(), execution_id, 60)
    return view.status, view.result, view.version


async def test_C26_resume_and_fork_take_the_version_they_are_told(database: Database, tmp_path: Path) -> None:
    """Pinned is what ran before, latest is what is published now; a number is that number."""
    asked = service(database, tmp_path)
    flow_id = await flow_of(database, TENANT, version("{{ input.missing }}"), version("mended"))
    async with a_worker(database, tmp_path):
        failed = (await asked.start(caller(), NewExecution(flow_id=flow_id, version=1))).execution_id
        assert await _result(asked, failed) == ("failed", None, 1)
        await asked.resume(caller(), failed, ResumeBody())
        assert await _result(asked, failed) == ("failed", None, 1)
        for number, wanted in (("pinned", 1), ("latest", 2), (2, 2)):
            fork = await asked.fork(caller(), failed, ForkBody(version=number))  # type: ignore[arg-type]
            status, result, ran = await _result(asked, fork.execution_id)
            assert (status, result, ran) == (("failed", None, 1) if wanted == 1 else ("completed", "mended", 2))
        await asked.resume(caller(), failed, ResumeBody(version="latest"))
        assert await _result(asked, failed) == ("completed", "mended", 2)
        with pytest.raises(Conflict):
            await asked.resume(caller(), failed, ResumeBody())

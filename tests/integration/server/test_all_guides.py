"""The examples of the README and of every page under docs, as somebody reads them: each runs, and none is left out."""

import asyncio
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.clock import SystemClock
from pipelines.parsing.jail import JailedParser
from server.auth.api_keys.service import create_key, create_tenant
from server.auth.principal import Scope
from stores.sql.engine import Database
from tests.integration.server.running import Api, running, settings_for
from tests.integration.server.served import ServedApi, served

ROOT = Path(__file__).parents[3]
_EXAMPLE = re.compile(r"^ *```bash\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_MEBIBYTE = 1024 * 1024


def examples(page: str) -> str:
    return "\n".join(_EXAMPLE.findall((ROOT / page).read_text("utf-8")))


def home_of_a_reader(folder: Path, key: str) -> Path:
    """Return a folder like the one in which somebody has started the system."""
    (folder / ".codexos").mkdir()
    (folder / ".codexos" / "dev-api-key").write_text(key, "ascii")
    (folder / "docs").symlink_to(ROOT / "docs")
    return folder


async def said_by(script: str, folder: Path, **environment: str) -> str:
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script),
        cwd=folder,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(shell.communicate(), timeout=120)
    assert shell.returncode == 0, said.decode()[-2_000:]
    return said.decode()


async def read_aloud(api: Api, page: str, folder: Path, key: str) -> str:
    """Run a page's examples while a worker does what they leave to it."""

    async def work() -> None:
        while True:
            await api.work()
            await asyncio.sleep(0.05)  # the worker's own pause between two looks

    worker = asyncio.create_task(work())
    try:
        return await said_by(examples(page), folder, API=api.url, KEY=key)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("README.md", ('"status":"indexed"', '"page":', "telescope-safety-manual.pdf", "dome")),
        ("docs/api.md", ("The dome opens at dusk.", '"team":"optics"', '"total":', '"status":"indexed"')),
    ],
)
async def test_files_are_posted_and_asked(page: str, told: tuple[str, ...], database_url: str, tmp_path: Path) -> None:
    """Literally, with the real parser: the first five minutes, and the page of the API."""
    async with running(settings_for(tmp_path / "home", database_url)) as api:
        _, key = await api.tenant()
        tools, writer = api.lane()
        parser = JailedParser(timeout_seconds=60, memory_bytes=600 * _MEBIBYTE)
        api._lane[0] = (replace(tools, parser=parser), writer)
        said = await read_aloud(api, page, home_of_a_reader(tmp_path, key), key)
        await parser.close()
    for words in told:
        assert words in said, words


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_questions_are_answered(database_url: str, tmp_path: Path) -> None:
    """With the model that comes with the system: a threshold means nothing to another."""
    async with running(settings_for(tmp_path, database_url, embedder="local")) as api:
        _, key = await api.tenant()
        said = await read_aloud(api, "docs/answer.md", tmp_path, key)
    assert said.count('"answer":"The dome opens at dusk."') == 2, said  # once whole, once at the end of the stream
    assert '"abstained":true' in said
    assert re.findall("^event: (.*)$", said, re.MULTILINE) == ["retrieved", "delta", "citation", "done"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_operators_find_what_they_are_promised(database_url: str, tmp_path: Path, unused_port: int) -> None:
    """Logs, numbers, status, the audit log and its chain, of an API process with logs where `make up` puts them."""
    api = ServedApi(tmp_path, unused_port, database_url)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "api.log").symlink_to(api.log)
    database = Database(database_url)
    tenant_id = await create_tenant(database, SystemClock(), "test")
    key = await create_key(database, SystemClock(), tenant_id, name="test", mode="test", scopes=tuple(Scope))
    await database.dispose()
    async with served(api), api.client(key) as client:
        posted = await client.post("/api/v1/rag/ingest", json={"source_type": "text", "source": "The dome."})
        told = {"API": api.url, "KEY": key, "ID": posted.headers["x-request-id"], "CODEXOS_HOME": str(tmp_path)}
        python = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        script = examples("docs/operations.md") + examples("docs/audit.md")
        said = await said_by(script, tmp_path, CODEXOS_DATABASE_URL=database_url, **told, **python)
    for words in ('"event": "request.finished"', '"action":"document.ingested"', "codexos_http_requests_total{"):
        assert words in said, words
    for words in ('"lance":', '"operational"', f"{tenant_id}"):
        assert words in said, words


def test_no_page_has_examples_that_nobody_runs() -> None:
    """Every page with a block of bash is named by a test beside this one, and no other block has a call."""
    tests = "\n".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_*guide*.py"))
    for file in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for language, block in _BLOCK.findall(file.read_text("utf-8")):
            if language == "bash":
                assert f'{file.name}"' in tests, file.name
            else:
                assert "curl" not in block, f"{file.name}: {block[:80]}"

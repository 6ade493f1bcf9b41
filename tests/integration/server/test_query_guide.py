"""The guide of queries, as somebody reads it: every example runs, with a worker beside."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.integration.server.running import running, settings_for
from tests.integration.server.test_guides import _EXAMPLE, DOCS


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_example_works(database_url: str, tmp_path: Path) -> None:
    """Literally: no command fails, and the filters find what the guide says."""
    script = "\n".join(_EXAMPLE.findall((DOCS / "query.md").read_text("utf-8")))
    async with running(settings_for(tmp_path, database_url)) as api:
        _, key = await api.tenant()
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", script),
            env=os.environ | {"API": api.url, "KEY": key},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        reading = asyncio.create_task(shell.communicate())
        async with asyncio.timeout(120):
            while not reading.done():
                await api.work()
                await asyncio.wait([reading], timeout=0.1)
        said, _ = await reading
    assert shell.returncode == 0, said.decode()[-2_000:]
    answers = said.decode()
    # Asked of both documents, then thrice of the one that the filters leave, then of both again, twice.
    assert answers.count("The dome opens at dusk") == 6
    assert answers.count("The pump runs at noon") == 3
    for told in ('"/filters/year/$above"', '"/filters/$or"', '"reranked":true', '"reranker":"sentences"'):
        assert told in answers

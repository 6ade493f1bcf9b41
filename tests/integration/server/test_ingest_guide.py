"""The guide of documents, as somebody reads it: every example runs, in the order in which they stand there."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from tests.integration.server.running import Api, running, settings_for

GUIDE = Path(__file__).parents[3] / "docs" / "ingest.md"
_EXAMPLE = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


async def working(api: Api) -> None:
    while True:
        await api.work()
        await asyncio.sleep(0.05)  # the worker's own pause between two looks


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_example_works(database_url: str, tmp_path: Path) -> None:
    """Literally: no command fails, and what they print is what the guide says."""
    script = "\n".join(_EXAMPLE.findall(GUIDE.read_text("utf-8")))
    assert len(re.findall(r"\b(?:rag|json) [\"/]", script)) > 15
    async with running(settings_for(tmp_path, database_url)) as api:
        _, key = await api.tenant()
        worker = asyncio.create_task(working(api))
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-euxo", "pipefail", "-c", script),
            cwd=tmp_path,
            env=os.environ | {"API": api.url, "KEY": key},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(shell.communicate(), timeout=120)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    assert shell.returncode == 0, said.decode()[-2_000:]
    for told in (b'"total_chunks":', b'"status":"indexed"', b'"refused":1', b'"hill":2', b'"status":"matched"'):
        assert told in said, told

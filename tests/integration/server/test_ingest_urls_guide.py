"""The guide to pages and repositories, as somebody reads it: every example runs."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from tests.fakes.git_server import git_server
from tests.fakes.website import answer, website
from tests.integration.server.running import running, settings_for

GUIDE = Path(__file__).parents[3] / "docs" / "ingest-urls.md"
_EXAMPLE = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_example_works(database_url: str, tmp_path: Path) -> None:
    """Literally, against a site and a repository on loopback that the operator allows."""
    script = "\n".join(_EXAMPLE.findall(GUIDE.read_text("utf-8")))
    with git_server(tmp_path / "git") as git:
        git.commit("acme/cranes", {"README.md": b"Cranes lift."})
        async with website({"/manual": answer("The manual.")}) as site:
            settings = settings_for(
                tmp_path, database_url, egress_allow=f"{site.place},{git.place}", github_url=git.url
            )
            async with running(settings) as api:
                _, key = await api.tenant()
                told = {"API": api.url, "KEY": key, "PAGE": f"{site.url}/manual", "REPOSITORY": "acme/cranes"}
                shell = await asyncio.create_subprocess_exec(
                    *("bash", "-euo", "pipefail", "-c", script),
                    env=os.environ | told,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                )
                talking = asyncio.create_task(shell.communicate())
                async with asyncio.timeout(90):
                    while not talking.done():
                        await api.work()
                        await asyncio.sleep(0.05)
                said, _ = await talking
    assert shell.returncode == 0, said.decode()[-2_000:]
    assert said.count(b'"status":"indexed"') >= 3
    assert b"acme/cranes:README.md" in said

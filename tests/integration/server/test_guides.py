"""The guides of authentication, as somebody reads them: every example runs, in the order in which they stand there."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from tests.integration.server.running import running, settings_for

DOCS = Path(__file__).parents[3] / "docs"
GUIDES = ("authentication.md", "keys-and-tenants.md")
_EXAMPLE = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CALL = re.compile(r"\bcurl -fsS\b")  # -f: an answer of 400 or more ends the script


@pytest.mark.parametrize(("database_url", "redis_url"), [("sqlite", "embedded")], indirect=True)
async def test_every_example_works(database_url: str, redis_url: str, tmp_path: Path) -> None:
    """Literally: no command fails, and none is there that could not."""
    script = "\n".join(example for guide in GUIDES for example in _EXAMPLE.findall((DOCS / guide).read_text("utf-8")))
    assert len(_CALL.findall(script)) == script.count("curl") > 15
    async with running(settings_for(tmp_path, database_url, redis_url=redis_url)) as api:
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-euxo", "pipefail", "-c", script),
            env=os.environ | {"API": api.url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(shell.communicate(), timeout=120)
    assert shell.returncode == 0, said.decode()[-2_000:]
    for told in (b'"role":"owner"', b'"otpauth_uri"', b'"kty":"OKP"', b'"changed":true', b'"subject":"key:'):
        assert told in said

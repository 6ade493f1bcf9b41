"""The guide of webhooks, as somebody reads it: every example runs, with a worker and a dispatcher beside."""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.receiver import Told, receiving
from tests.integration.server.hooked import dispatcher_of, serving
from tests.integration.server.test_guides import _EXAMPLE, DOCS

_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_example_works(database_url: str, tmp_path: Path) -> None:
    """Literally: the commands, and what they made arrive verifies by the functions that stand there."""
    guide = (DOCS / "webhooks.md").read_text("utf-8")
    with receiving() as receiver:
        async with serving(tmp_path, database_url) as api, dispatcher_of(api):
            _, key = await api.tenant()
            shell = await asyncio.create_subprocess_exec(
                *("bash", "-euxo", "pipefail", "-c", "\n".join(_EXAMPLE.findall(guide))),
                env=os.environ | {"API": api.url, "KEY": key, "HOOK": f"{receiver.url}/hooks"},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            reading = asyncio.create_task(shell.communicate())
            async with asyncio.timeout(120):
                while not reading.done():
                    await api.work()
                    await asyncio.wait([reading], timeout=0.1)
            said = (await reading)[0].decode()
    assert shell.returncode == 0, said[-2_000:]
    assert said.count('"status":204') == 1
    for counted in ('"count":1,', '"count":0,'):
        assert counted in said
    secrets = list(dict.fromkeys(_SECRET.findall(said)))
    assert len(secrets) == 2
    _verify(guide, receiver.told, *secrets)


def _verify(guide: str, told: list[Told], old: str, new: str) -> None:
    functions: dict[str, Any] = {}
    exec("\n".join(_PYTHON.findall(guide)), functions)
    assert {json.loads(each.body)["type"] for each in told} == {"rag.document.indexed", "agent.execution.completed"}
    for each in told:
        body, signature = each.body.decode(), each.headers["x-codexos-signature"]
        secret = new if "x-codexos-signature-previous" in each.headers else old
        assert functions["verify_webhook"](body, signature, secret)
        assert functions["read_webhook"](each.body, each.headers, old) == json.loads(each.body)
        assert each.headers["x-team"] == "optics"

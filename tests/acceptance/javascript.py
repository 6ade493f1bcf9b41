"""JavaScript where it runs: in Node, and in a page of headless Chromium. Neither needs a package."""

import asyncio
import itertools
import json
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests import real_parts

_SECONDS = 60.0
_numbers = itertools.count(1)
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)


async def in_node(expression: str) -> Any:
    """Return what the promise of an expression comes to, in Node as it is installed."""
    node = shutil.which("node") or real_parts.miss("no node is installed")
    # Node 20 has the browser's WebSocket behind this; since 22 it is simply there, and the flag is still taken.
    script = f"({expression}).then((told) => {{ console.log(JSON.stringify(told)); process.exit(0); }});"
    process = await asyncio.create_subprocess_exec(
        *(node, "--no-warnings", "--experimental-websocket", "--eval", script),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            said, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaint.decode()
    return json.loads(said)


async def in_chromium(page: str, expression: str) -> Any:
    """Return what the promise of an expression comes to in a page of this address, whose origin it has."""
    async with _chromium() as debugging:
        async with httpx.AsyncClient(trust_env=False) as http:
            target = (await http.put(f"http://{debugging}/json/new?about:blank")).json()
        async with connect(target["webSocketDebuggerUrl"], proxy=None, max_size=None) as tab, asyncio.timeout(_SECONDS):
            gone = await _command(tab, "Page.navigate", url=page)
            assert "errorText" not in gone, gone
            while not await _evaluated(tab, "location.protocol !== 'about:' && document.readyState === 'complete'"):
                await asyncio.sleep(0.05)
            return await _evaluated(tab, expression)


async def _evaluated(tab: ClientConnection, expression: str) -> Any:
    asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
    answer = await _command(tab, "Runtime.evaluate", **asked)
    assert "exceptionDetails" not in answer, answer
    return answer["result"]["value"]


async def _command(tab: ClientConnection, method: str, **parameters: Any) -> dict[str, Any]:
    number = next(_numbers)
    await tab.send(json.dumps({"id": number, "method": method, "params": parameters}))
    while (told := json.loads(await tab.recv())).get("id") != number:
        pass
    assert "error" not in told, told
    answer: dict[str, Any] = told["result"]
    return answer


@asynccontextmanager
async def _chromium() -> AsyncIterator[str]:
    """Yield host and port of the debugging protocol of a browser with a profile of its own."""
    program = (
        shutil.which("chromium") or shutil.which("chromium-browser") or real_parts.miss("no chromium is installed")
    )
    with tempfile.TemporaryDirectory(prefix="codexos-chromium-", ignore_cleanup_errors=True) as profile:
        quiet = asyncio.subprocess.DEVNULL
        environment = {**os.environ, "HOME": profile}
        command = [program, *_QUIET, f"--user-data-dir={profile}", "about:blank"]
        browser = await asyncio.create_subprocess_exec(
            *command, stdin=quiet, stdout=quiet, stderr=quiet, env=environment
        )
        try:
            yield f"127.0.0.1:{await _port(Path(profile) / 'DevToolsActivePort', browser)}"
        finally:
            browser.terminate()
            await browser.wait()


async def _port(file: Path, browser: asyncio.subprocess.Process) -> int:
    deadline = time.monotonic() + _SECONDS
    while True:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) >= 2:
            return int(lines[0])
        assert browser.returncode is None, f"chromium ended with status {browser.returncode}"
        assert time.monotonic() < deadline, "chromium says where it can be reached"
        await asyncio.sleep(0.05)

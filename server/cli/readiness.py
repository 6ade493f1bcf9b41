"""Ask the API whether every part serves, and show each part as it comes."""

import asyncio
import time
from collections.abc import Callable

import httpx

from server.cli.refusal import Refusal

_LIMIT_SECONDS = 240.0  # the first start builds the embedding model's graph, on a slow machine for minutes
_POLL_SECONDS = 0.2
_REMIND_SECONDS = 5.0


async def wait_until_ready(url: str, say: Callable[[str], None]) -> None:
    """Return when `GET {url}/ready` answers 200. Raises Refusal when that takes too long."""
    started = reminded = time.monotonic()
    shown: set[str] = set()
    async with httpx.AsyncClient(base_url=url, timeout=5, trust_env=False) as client:
        while True:
            ready, states = await _ask(client)
            seconds = time.monotonic() - started
            serving = {name for name, state in states.items() if state == "ok"}
            if fresh := [name for name in states if name in serving - shown]:
                say(f"  {seconds:5.1f} s  ready: {', '.join(fresh)}")
                shown |= serving
            if ready:
                return
            waiting = ", ".join(states.keys() - serving)
            if seconds > _LIMIT_SECONDS:
                raise Refusal(f"not ready after {seconds:.0f} s: {waiting}; the logs say why.")
            if time.monotonic() - reminded > _REMIND_SECONDS:
                reminded = time.monotonic()
                say(f"  {seconds:5.1f} s  waiting for {waiting}")
            await asyncio.sleep(_POLL_SECONDS)


async def _ask(client: httpx.AsyncClient) -> tuple[bool, dict[str, str]]:
    try:
        answer = await client.get("/ready")
        parts = {name: str(part["status"]) for name, part in answer.json()["parts"].items()}
    except (httpx.HTTPError, ValueError, KeyError):  # nobody listens yet, or half of it is up
        return False, {"api": "starting"}
    return answer.status_code == httpx.codes.OK, {"api": "ok", **parts}

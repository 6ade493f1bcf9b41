"""What the children of a jail came to: how each ended, and how much memory it held at most."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pipelines.parsing.jail_commands import Ending
from pipelines.parsing.zygote import Fork, Zygote

_LONGEST_SECONDS = 10


def watch_endings(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Awaitable[list[Ending]]]:
    """Return a function that waits for the children forked since it was last called, and returns their endings."""
    forks: list[Fork] = []
    fork = Zygote.fork

    async def remembered(zygote: Zygote) -> Fork:
        forks.append(await fork(zygote))
        return forks[-1]

    async def endings() -> list[Ending]:
        waited_for = [child.ended for child in forks]
        forks.clear()
        async with asyncio.timeout(_LONGEST_SECONDS):
            return [await ended for ended in waited_for]

    monkeypatch.setattr(Zygote, "fork", remembered)
    return endings

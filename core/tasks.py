"""Tasks that are to end do end."""

import asyncio
from typing import Any

_PATIENCE_SECONDS = 0.5


async def ended(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks until all of them have ended, however they do.

    Once is not always enough: code that is cancelled at the very moment at which its own time-out fires may take the
    one for the other, and go on (`asyncio.wait_for` of Python 3.11 does, and what clients of Redis build on it).
    """
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_PATIENCE_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)

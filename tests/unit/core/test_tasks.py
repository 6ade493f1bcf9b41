"""Tasks that are to end do end, also those that mistake a cancellation for something else."""

import asyncio
import contextlib

from core.tasks import ended


async def test_task_that_swallows_a_cancellation_ends_all_the_same() -> None:
    """As code does whose own time-out fires at the same moment."""
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 2:
                    raise

    async def failing() -> None:
        raise ValueError

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(failing())]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await ended(*tasks)
    assert all(task.done() for task in tasks)
    assert swallowed == 2
    with contextlib.suppress(asyncio.CancelledError):
        await tasks[0]

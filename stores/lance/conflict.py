"""Commits that lost a race are made again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from core.errors import IndexingFailed
from core.log import get_logger
from stores.lance.driver import LanceTable

log = get_logger()
Result = TypeVar("Result")

_PAUSES_SECONDS = (0.0, 0.05, 0.2, 0.5, 1.0)
# Lance gives every failure the same exception class; its words are what there is to tell them apart.
_CONFLICTS = (
    "Retryable commit conflict",
    "Too many concurrent writers",
    "Commit conflict",
    # Two processes made the table at the same moment, and the second's took the place of the first's.
    "incompatible with concurrent transaction",
)


async def retried(table: LanceTable, write: Callable[[], Awaitable[Result]]) -> Result:
    """Run `write` on the newest version, again after each lost race. Raises IndexingFailed when all are lost."""
    for pause in _PAUSES_SECONDS:
        await asyncio.sleep(pause)
        await table.checkout_latest()  # a handle that lost stays on its old version and would lose for ever
        try:
            return await write()
        except RuntimeError as error:
            if not any(words in str(error) for words in _CONFLICTS):
                raise
            log.info("lance.commit_conflict", table=table.name)
    raise IndexingFailed("The index was being changed by others all the time; the document is tried again.")

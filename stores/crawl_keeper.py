"""Keep a crawl ours for as long as its worker lives, however long a site takes to answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from core.errors import LeaseLost
from core.log import may_fail
from stores.sources import LEASE, Crawl, Crawls


@asynccontextmanager
async def keep(crawls: Crawls, crawl: Crawl, *, lease: timedelta = LEASE) -> AsyncIterator[None]:
    """Renew the lease of `crawl` three times per lease until the block ends, or until somebody else has it."""

    async def renewing() -> None:
        while True:
            await asyncio.sleep(lease.total_seconds() / 3)
            with may_fail("renewing the lease of a crawl"):  # two more tries fit into the lease
                try:
                    await crawls.renew(crawl)
                except LeaseLost:  # the next write of the crawl finds that out as well, and ends it
                    return

    task = asyncio.create_task(renewing())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

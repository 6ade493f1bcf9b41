"""The guide to sources, as somebody reads it: every example runs, in the order in which they stand there."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from core.clock import SystemClock
from pipelines.sources.crawl import Crawler
from pipelines.sources.opening import open_crawler
from tests.fakes.website import answer, website
from tests.integration.server.running import running, settings_for

GUIDE = Path(__file__).parents[3] / "docs" / "sources.md"
_EXAMPLE = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


async def crawling(crawler: Crawler) -> None:
    while True:
        await crawler.crawls.post_due()
        for bucket in await crawler.crawls.buckets_waiting():
            claimed = await crawler.crawls.claim(bucket)
            if claimed is not None:
                await crawler.crawl(claimed)
        await asyncio.sleep(0.05)  # the sensor's pause between two looks, but shorter


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_example_works(database_url: str, tmp_path: Path) -> None:
    """Literally: no command fails, and the crawl counts what the site has."""
    script = "\n".join(_EXAMPLE.findall(GUIDE.read_text("utf-8")))
    assert len(re.findall(r"\bsources \"", script)) >= 6
    async with website({"/a": answer("Page a."), "/b": answer("Page b.")}) as site:
        listed = "".join(f"<url><loc>{site.url}/{name}</loc></url>" for name in "ab")
        site.pages["/sitemap.xml"] = answer(f"<urlset>{listed}</urlset>")
        settings = settings_for(tmp_path, database_url, egress_allow=site.place)
        async with running(settings) as api, open_crawler(settings, SystemClock()) as crawler:
            _, key = await api.tenant()
            crawls = asyncio.create_task(crawling(crawler))
            shell = await asyncio.create_subprocess_exec(
                *("bash", "-euxo", "pipefail", "-c", script),
                env=os.environ | {"API": api.url, "KEY": key, "SITEMAP": f"{site.url}/sitemap.xml"},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            said, _ = await asyncio.wait_for(shell.communicate(), timeout=120)
            crawls.cancel()
            await asyncio.gather(crawls, return_exceptions=True)
    assert shell.returncode == 0, said.decode()[-2_000:]
    for told in (
        b"'new': 2",
        b'"chunking_strategy":"structure"',
        b'"cadence":"1d"',
        b'"paused":true',
        b'"state":"pong"',
    ):
        assert told in said, told
    assert b'"documents_deleted":2' in said

"""Sources that are due, crawled: what is new or different posted, what has vanished deleted."""

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.rag.assets import OWNERS
from assets.rag.partitions import BUCKET_PARTITIONS, bucket_in
from assets.rag.plots import counts as counts_plot
from assets.resources import PlatformResource
from core.errors import LeaseLost
from core.log import get_logger

if TYPE_CHECKING:
    from pipelines.sources.crawl import CrawlResult

log = get_logger()
_SHOWN = 50
_DRAWN = ("new", "changed", "deleted", "failed")
_COUNTED = ("listed", "new", "changed", "unchanged", "deleted", "failed")


@dg.asset(
    partitions_def=BUCKET_PARTITIONS,
    group_name="sources",
    owners=OWNERS,
    kinds={"python", "sql"},
    tags={"domain": "ingestion"},
)
def crawled_sources(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult[None]:
    """The documents of a bucket's sources, in step with what their sources have."""
    began = perf_counter()
    bucket = bucket_in(context.partition_key)
    results, broken = asyncio.run(crawl_bucket(platform, bucket))
    metadata: dict[str, Any] = {
        "crawls": len(results),
        **{name: sum(result.counts[name] for result in results) for name in _COUNTED},
        "by_source": dg.MetadataValue.table([_record(result) for result in results], _SCHEMA),
        "trend": asyncio.run(_trend(platform, bucket)),
        "crawls_broken": broken,
        "seconds": round(perf_counter() - began, 3),
    }
    if broken:
        raise dg.Failure(f"{broken} crawls broke off; they are gone on with when their leases end.", metadata)
    return dg.MaterializeResult(metadata=metadata)


async def crawl_bucket(platform: PlatformResource, bucket: int) -> "tuple[list[CrawlResult], int]":
    """Do all crawls of a bucket that nobody is at work on; return what came of them, and how many broke off."""
    results: list[CrawlResult] = []
    broken = 0
    async with platform.crawler() as crawler:
        while (crawl := await crawler.crawls.claim(bucket)) is not None:
            try:
                results.append(await crawler.crawl(crawl))
            except LeaseLost:
                log.warning("crawl.taken_over", crawl=crawl.id)
            except Exception:  # the other sources are no worse for it
                log.exception("crawl.broke_off", crawl=crawl.id)
                broken += 1
    return results, broken


async def _trend(platform: PlatformResource, bucket: int) -> dg.MarkdownMetadataValue:
    async with platform.crawls() as crawls:
        ended = await crawls.ended(bucket, limit=_SHOWN)
    lines = {name: [counts.get(name, 0) for counts in ended] for name in _DRAWN}
    return counts_plot(lines, title=f"Documents of the last {len(ended)} crawls of this bucket")


def _record(result: "CrawlResult") -> dg.TableRecord:
    crawl = result.crawl
    return dg.TableRecord(
        {
            "tenant": crawl.tenant_id,
            "source": crawl.source_id,
            "type": crawl.type,
            "state": result.state.value,
            **{name: result.counts[name] for name in _COUNTED},
        }
    )


_SCHEMA = dg.TableSchema(
    columns=[
        *(dg.TableColumn(name, "string") for name in ("tenant", "source", "type", "state")),
        *(dg.TableColumn(name, "int") for name in _COUNTED),
    ]
)

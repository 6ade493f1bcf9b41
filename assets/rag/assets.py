"""documents → elements → chunks → embeddings → search_index: the batch lane, a hash bucket of tenants per partition."""

import asyncio
from collections.abc import Callable
from functools import wraps
from time import perf_counter
from typing import Any, Literal

import dagster as dg
import polars as pl
from pydantic import Field

from assets.rag import metadata
from assets.rag.partitions import BUCKET_PARTITIONS, bucket_in
from assets.rag.steps import WRITTEN_AT_ONCE, Embedding, Writing, chunked, parsed, run_step, take
from assets.rag.tables import jobs_table
from assets.resources import PlatformResource

Stage = dg.MaterializeResult[pl.DataFrame]

OWNERS = ["team:platform"]


def owner_of(run_id: str) -> str:
    """Return the name under which a run takes jobs."""
    return f"dagster:{run_id}"


class DocumentsConfig(dg.Config):
    scope: Literal["pending", "all"] = Field(
        default="all",
        description="`pending` takes what waits in the letterbox; `all` first posts every indexed document again.",
    )
    max_jobs: int = Field(
        default=1_000, ge=1, description="Most jobs one run takes; the sweep sensor starts a run for the rest."
    )
    max_bytes: int = Field(default=64 * 2**20, ge=1, description="A run takes no further jobs beyond this many bytes.")


class EmbeddingsConfig(dg.Config):
    reuse: bool = Field(
        default=True, description="Take vectors of texts embedded before from the cache; false computes all."
    )


def _stage(*kinds: str, pool: str | None = None) -> Callable[[Callable[..., Stage]], dg.AssetsDefinition]:
    # No backfill policy: with one, runs get a range of partitions, and checks could not be recorded by bucket.
    decorate: Callable[[Callable[..., Stage]], dg.AssetsDefinition] = dg.asset(
        partitions_def=BUCKET_PARTITIONS,
        group_name="rag",
        owners=OWNERS,
        tags={"lane": "batch", "domain": "retrieval"},
        kinds={"python", *kinds},
        io_manager_key="stage_tables",
        pool=pool,
    )
    return lambda body: decorate(_timed(body))


def _timed(body: Callable[..., Stage]) -> Callable[..., Stage]:
    @wraps(body)
    def timed(*args: Any, **kwargs: Any) -> Stage:
        began = perf_counter()
        done = body(*args, **kwargs)
        seconds = round(perf_counter() - began, 3)
        return dg.MaterializeResult(value=done.value, metadata={**(done.metadata or {}), "seconds": seconds})

    return timed


@_stage("polars", "sql")
def documents(context: dg.AssetExecutionContext, config: DocumentsConfig, platform: PlatformResource) -> Stage:
    """Jobs of the bucket, taken from the letterbox under a lease that lasts as long as the run."""
    bucket = bucket_in(context.partition_key)
    taken = asyncio.run(
        take(
            platform,
            owner=owner_of(context.run.run_id),
            bucket=bucket,
            repost=config.scope == "all",
            max_jobs=config.max_jobs,
            max_bytes=config.max_bytes,
        )
    )
    platform.hold(taken.jobs)
    table = jobs_table(taken.jobs)
    return dg.MaterializeResult(
        value=table, metadata=metadata.of_documents(table, posted=taken.posted, waiting=taken.waiting)
    )


@_stage("polars", "parquet")
def elements(platform: PlatformResource, documents: pl.DataFrame) -> Stage:
    """Titles, paragraphs, tables …: what the jailed parser found in each document, or why it found nothing."""
    table = run_step(platform, documents, parsed, stage="parsed")
    return dg.MaterializeResult(value=table, metadata=metadata.of_elements(table))


@_stage("polars", "parquet")
def chunks(platform: PlatformResource, elements: pl.DataFrame) -> Stage:
    """Spans of each document's text that fit the embedder, cut by the document's own configuration."""
    table = run_step(platform, elements, chunked, stage="chunked")
    return dg.MaterializeResult(value=table, metadata=metadata.of_chunks(table))


@_stage("polars", "parquet", pool="embedding")
def embeddings(config: EmbeddingsConfig, platform: PlatformResource, chunks: pl.DataFrame) -> Stage:
    """A vector of length one for every chunk; a text this tenant has embedded before costs a look-up."""
    embedding = Embedding(reuse=config.reuse)
    table = run_step(platform, chunks, embedding.step, stage="embedded")
    return dg.MaterializeResult(value=table, metadata=metadata.of_embeddings(table, embedding))


@_stage("lancedb")
def search_index(platform: PlatformResource, embeddings: pl.DataFrame) -> Stage:
    """Rows in each tenant's Lance table: one commit adds the new and retires the old, so queries are never without."""
    writing = Writing(platform)
    table = run_step(platform, embeddings.sort("tenant_id"), writing.step, slice_jobs=WRITTEN_AT_ONCE)
    return dg.MaterializeResult(value=table, metadata=metadata.of_index(table, writing.outcome))


RAG_ASSETS = [documents, elements, chunks, embeddings, search_index]

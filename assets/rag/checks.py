"""Blocking asset checks: what fails here never reaches the index, and its jobs go back when their leases end.

A broken document fails no check: it is a failed job. A check fails when the work itself is wrong.
"""

import asyncio
import warnings
from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl

from assets.rag.assets import chunks, documents, embeddings, search_index
from assets.rag.expectations import (
    chunks_suite,
    coverage_suite,
    documents_suite,
    languages_suite,
    tail_suite,
    validate,
    vectors_suite,
)
from assets.rag.index_state import index_coverage, index_tails
from assets.rag.languages import chunk_languages
from assets.rag.partitions import BUCKET_PARTITIONS
from assets.rag.tables import exploded, generations_in, vector_norms
from assets.resources import PlatformResource

Check = Callable[..., dg.AssetCheckResult]


def _check(asset: dg.AssetsDefinition, *, blocking: bool = True, **options: Any) -> Callable[[Check], Any]:
    def decorate(check: Check) -> dg.AssetChecksDefinition:
        with warnings.catch_warnings():
            # Without its partition, a check of one bucket would hide the failure of another. A preview in the
            # release that is pinned; tests/integration/assets watch that it does what is expected.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            return dg.asset_check(asset=asset, blocking=blocking, partitions_def=BUCKET_PARTITIONS, **options)(check)

    return decorate


@_check(documents)
def documents_are_identified(documents: pl.DataFrame) -> dg.AssetCheckResult:
    """Ids are there and unique, revisions and fences count from one."""
    return validate(documents, documents_suite)


@_check(chunks, additional_ins={"documents": dg.AssetIn("documents")})
def chunks_are_sound(platform: PlatformResource, chunks: pl.DataFrame, documents: pl.DataFrame) -> dg.AssetCheckResult:
    """Every chunk has its document and its own place, is not blank, and fits the embedder."""
    windows = [platform.embedders.open(found.embedder).max_tokens for found in generations_in(chunks)]
    suite = chunks_suite(documents["document_id"].to_list(), max(windows, default=0))
    return validate(exploded(chunks, "passages"), suite)


@_check(chunks, blocking=False)
def languages_are_known(platform: PlatformResource, chunks: pl.DataFrame) -> dg.AssetCheckResult:
    """Most chunks are in a language that their embedder knows; the others are found by their words, not by meaning."""
    told = chunk_languages(chunks, lambda index: platform.embedders.open(index.embedder).languages)
    held = validate(told, languages_suite)
    by_language = dict(told["language"].value_counts(sort=True).iter_rows())
    return dg.AssetCheckResult(
        passed=held.passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={**held.metadata, "chunks_by_language": by_language},
    )


@_check(embeddings)
def vectors_have_length_one(embeddings: pl.DataFrame) -> dg.AssetCheckResult:
    """No vector is missing or zero; each has the dimensions of its index and length one."""
    return validate(vector_norms(embeddings), vectors_suite({found.dimensions for found in generations_in(embeddings)}))


@_check(embeddings)
def every_chunk_has_its_vector(embeddings: pl.DataFrame) -> dg.AssetCheckResult:
    """Each document that did not fail has as many vectors as chunks."""
    sound = embeddings.filter(pl.col("failure_code").is_null())
    counts = sound.select("document_id", found=pl.col("vectors").list.len(), planned=pl.col("passages").list.len())
    return validate(counts, coverage_suite)


@_check(search_index)
def index_holds_every_chunk(platform: PlatformResource, search_index: pl.DataFrame) -> dg.AssetCheckResult:
    """Each document of the run that now answers has all its chunks in the index, and no others."""
    return validate(asyncio.run(index_coverage(platform, search_index)), coverage_suite)


@_check(search_index, blocking=False)
def index_tail_is_short(platform: PlatformResource, search_index: pl.DataFrame) -> dg.AssetCheckResult:
    """Few rows are outside the indexes; a search scans those, so a long tail makes queries slow, not wrong."""
    tails = asyncio.run(index_tails(platform, search_index))
    held = validate(tails, tail_suite)
    longest = max(tails["unindexed_rows"].to_list(), default=0)
    return dg.AssetCheckResult(
        passed=held.passed,
        severity=dg.AssetCheckSeverity.WARN,  # the next maintenance folds it in; nothing comes after it in the run
        metadata={**held.metadata, "unindexed_rows_longest": longest},
    )


RAG_CHECKS = [
    documents_are_identified,
    chunks_are_sound,
    languages_are_known,
    vectors_have_length_one,
    every_chunk_has_its_vector,
    index_holds_every_chunk,
    index_tail_is_short,
]

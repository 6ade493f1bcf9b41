"""Generations that are being built, or have fallen behind, brought up to what is indexed."""

import asyncio
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from assets.rag.assets import OWNERS
from assets.resources import PlatformResource
from core.ids import GenerationId
from core.log import get_logger
from stores.generations import Generation

if TYPE_CHECKING:
    # Loads LanceDB: a code server that only lists assets must not pay for it.
    from pipelines.index.generations.build import Builder
    from pipelines.index.generations.follow import Followed

log = get_logger()


class GenerationsConfig(dg.Config):
    generation_id: str | None = Field(None, description="One generation; without it, all that want something.")


@dg.asset(group_name="generations", owners=OWNERS, kinds={"python", "lancedb"}, tags={"domain": "retrieval"})
def index_generations(config: GenerationsConfig, platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Other indexes of all documents beside those that answer: built, in step, and measured."""
    began = perf_counter()
    done, failed = asyncio.run(build_all(platform, config.generation_id))
    metadata = {**_metadata(done), "generations_failed": len(failed), "seconds": round(perf_counter() - began, 3)}
    if failed:
        raise dg.Failure(f"{len(failed)} generations were left as they are; they are tried again.", metadata)
    return dg.MaterializeResult(metadata=metadata)


async def build_all(
    platform: PlatformResource, generation_id: str | None
) -> tuple[list[tuple[Generation, "Followed"]], list[GenerationId]]:
    """Build one generation, or all that want it; return what was done, and those for which it failed."""
    done: list[tuple[Generation, Followed]] = []
    failed: list[GenerationId] = []
    async with platform.generation_builder() as builder:
        for generation in await _chosen(builder, generation_id):
            try:
                done.append((generation, await builder.build(generation)))
            except Exception:  # the others are no worse for it
                log.exception("generation.build_failed", generation=generation.id)
                failed.append(generation.id)
    return done, failed


async def _chosen(builder: "Builder", generation_id: str | None) -> list[Generation]:
    from pipelines.index.generations.wanted import wanted

    generations = builder.follower.writer.indexes.generations
    if generation_id is None:
        return await wanted(builder.work, generations, builder.golden_sets, builder.clock)
    return [found for found in await builder.work.following() if found.id == generation_id]


def _metadata(done: list[tuple[Generation, "Followed"]]) -> Mapping[str, Any]:
    records = [
        dg.TableRecord(
            {
                "tenant": generation.tenant_id,
                "generation": generation.number,
                "embedding_space": generation.space,
                "documents": followed.documents,
                "documents_failed": followed.failed,
                "documents_erased": followed.erased,
                "chunks": followed.chunks,
            }
        )
        for generation, followed in done
    ]
    return {
        "generations": len(done),
        "documents": sum(followed.documents for _, followed in done),
        "chunks": sum(followed.chunks for _, followed in done),
        "by_generation": dg.MetadataValue.table(records, _SCHEMA),
    }


_SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn("tenant", "string"),
        dg.TableColumn("generation", "int"),
        dg.TableColumn("embedding_space", "string"),
        dg.TableColumn("documents", "int"),
        dg.TableColumn("documents_failed", "int"),
        dg.TableColumn("documents_erased", "int"),
        dg.TableColumn("chunks", "int"),
    ]
)

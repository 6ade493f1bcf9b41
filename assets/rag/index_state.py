"""Look into the index the way a check does: what it holds of a run's documents, and how much it would have to scan."""

from typing import TYPE_CHECKING

import polars as pl

from assets.resources import PlatformResource
from core.ids import DocumentId, TenantId
from stores.generations import Generation

if TYPE_CHECKING:
    # Loads LanceDB: a code server that only lists assets must not pay for it.
    from pipelines.assembly import Ingestion
    from stores.lance import ChunkTable

_COVERAGE = {"document_id": pl.String, "planned": pl.Int64, "found": pl.Int64}
_TAILS = {"tenant_id": pl.String, "unindexed_rows": pl.Int64, "most_unindexed_rows": pl.Int64}


async def index_coverage(platform: PlatformResource, table: pl.DataFrame) -> pl.DataFrame:
    """Return, per document of `table` that answers with the run's revision, its chunks planned and found."""
    async with platform.ingestion() as ingestion:
        rows = [
            row
            for (tenant_id,), part in table.group_by("tenant_id", maintain_order=True)
            for row in await _coverage(ingestion, TenantId(str(tenant_id)), part)
        ]
    return pl.DataFrame(rows, schema=_COVERAGE, orient="row")


async def _coverage(ingestion: "Ingestion", tenant_id: TenantId, part: pl.DataFrame) -> list[tuple[str, int, int]]:
    planned = {
        (DocumentId(document_id), revision): count
        for document_id, revision, count in part.select("document_id", "revision", "chunks").iter_rows()
    }
    held: dict[DocumentId, dict[int, int]] = {}
    generation = await ingestion.indexes.of(tenant_id)
    table = await _table(ingestion, generation)
    for stored in [] if table is None else await table.stored_documents():
        held.setdefault(stored.document_id, {})[stored.revision] = stored.chunks
    visible = ingestion.indexes.generations.visible
    answering = await visible(tenant_id, generation, [document_id for document_id, _ in planned])
    return [
        (document_id, count, sum(held.get(document_id, {}).values()))
        for (document_id, revision), count in planned.items()
        # One that is deleted, failed, or has a later revision by now is no longer this run's to answer for.
        if answering.get(document_id) == revision and max(held.get(document_id, {0: 0})) <= revision
    ]


async def index_tails(platform: PlatformResource, table: pl.DataFrame) -> pl.DataFrame:
    """Return, per tenant of `table` that has an index, its rows outside of the indexes and how many may be."""
    from pipelines.index.maintenance import most_unindexed_rows

    rows: list[tuple[str, int, int]] = []
    async with platform.ingestion() as ingestion:
        for tenant_id in map(TenantId, table["tenant_id"].unique(maintain_order=True)):
            found = await _table(ingestion, await ingestion.indexes.of(tenant_id))
            if found is not None:
                tail = await found.tail()
                rows.append((tenant_id, tail.unindexed_rows, most_unindexed_rows(tail.table_rows)))
    return pl.DataFrame(rows, schema=_TAILS, orient="row")


async def _table(ingestion: "Ingestion", generation: Generation) -> "ChunkTable | None":
    return await ingestion.lance.find_table(generation.tenant_id, generation.table_space, generation.dimensions)

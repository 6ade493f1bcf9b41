"""The nightly care of every tenant's table: what SQL does not know goes, fragments merge, indexes catch up."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from assets.rag.assets import OWNERS
from assets.resources import PlatformResource
from assets.stage_tables import remove_tables_before
from core.ids import DocumentId, TenantId
from core.log import get_logger, may_fail
from stores.blobs import BlobStore
from stores.erasure import Erasure
from stores.index_history import IndexHistory
from stores.retention import purge_expired

if TYPE_CHECKING:
    # Loads LanceDB: a code server that only lists assets must not pay for it.
    from pipelines.assembly import Ingestion
    from pipelines.index.maintenance import MaintenanceReport

log = get_logger()


class MaintenanceConfig(dg.Config):
    retain_hours: float | None = Field(
        None,
        gt=0,
        description="How long old versions of the index, and the tables between stages, are kept; as the settings"
        " promise, if it is left out.",
    )


@dg.asset(group_name="maintenance", owners=OWNERS, kinds={"python", "lancedb"}, tags={"domain": "retrieval"})
def index_maintenance(config: MaintenanceConfig, platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Every tenant's table compacted, indexed to its end, and equal to what SQL says."""
    retain = timedelta(hours=config.retain_hours or platform.settings.index_retain_hours)
    reports, failed, forgotten = asyncio.run(maintain_all(platform, retain))
    removed_tables = remove_tables_before(platform.stage_folder, platform.clock.now() - retain)
    metadata = {
        **_metadata(reports),
        "stage_tables_removed": removed_tables,
        "documents_forgotten": forgotten,
        "tenants_failed": len(failed),
    }
    if failed:
        raise dg.Failure(f"The tables of {len(failed)} tenants were left as they are.", metadata)
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(group_name="maintenance", owners=OWNERS, kinds={"python", "sql"}, tags={"domain": "foundation"})
def expired_records(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Sessions, tokens and idempotency records without those whose time is over."""
    return dg.MaterializeResult(metadata=dict(asyncio.run(_purge(platform))))


@dg.asset(group_name="maintenance", owners=OWNERS, kinds={"python", "sql"}, tags={"domain": "retrieval"})
def erased_documents(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Deleted documents without their bytes, revisions and names: a bare tombstone is what stays."""
    return dg.MaterializeResult(metadata={"erased": asyncio.run(_erase(platform))})


async def _erase(platform: PlatformResource) -> int:
    grace = timedelta(hours=platform.settings.deleted_retain_hours)
    async with platform.database() as database:
        blobs = BlobStore(platform.settings.blob_path.as_uri())
        return await Erasure(database, blobs, platform.clock).erase_deleted(grace=grace)


async def _purge(platform: PlatformResource) -> Mapping[str, int]:
    async with platform.database() as database:
        return await purge_expired(database, platform.clock)


async def maintain_all(
    platform: PlatformResource, retain: timedelta
) -> tuple[dict[str, "MaintenanceReport"], list[TenantId], int]:
    """Maintain every tenant's tables and the vectors that are remembered.

    Return what was done by table, the tenants for which it failed, and how many documents were forgotten.
    """
    reports: dict[str, MaintenanceReport] = {}
    failed: list[TenantId] = []
    async with platform.ingestion() as ingestion:
        await _drop_retired(ingestion)
        for tenant_id in await ingestion.documents.tenants():
            try:
                reports |= await _maintain(ingestion, tenant_id, retain)
            except Exception:  # the others' tables are no worse for it
                log.exception("maintenance.failed", tenant=tenant_id)
                failed.append(tenant_id)
        forgotten = await _forget_deleted(ingestion)
    return reports, failed, forgotten


async def _forget_deleted(ingestion: "Ingestion") -> int:
    """Forget vectors of documents that were embedded while they were being deleted; return of how many documents."""
    gone: set[DocumentId] = set()
    with may_fail("forgetting the vectors of deleted documents"):  # the next night tries again
        known = await asyncio.to_thread(ingestion.tools.vectors.documents)
        # SQL is asked afterwards: whatever is remembered by then was posted before.
        gone = known - await ingestion.documents.living(known)
        await asyncio.to_thread(ingestion.tools.vectors.forget, sorted(gone))
    return len(gone)


async def _drop_retired(ingestion: "Ingestion") -> None:
    """Drop the tables of retired generations that whoever retired them did not come to drop."""
    for generation in await IndexHistory(ingestion.database).retired():
        with may_fail("dropping a retired generation"):
            async with ingestion.writer.lease(generation):
                await ingestion.lance.drop_table(generation.tenant_id, generation.table_space)


async def _maintain(ingestion: "Ingestion", tenant_id: TenantId, retain: timedelta) -> dict[str, "MaintenanceReport"]:
    from pipelines.index.maintenance import maintain

    reports: dict[str, MaintenanceReport] = {}
    await ingestion.indexes.of(tenant_id)
    for generation in await ingestion.indexes.generations.of(tenant_id):
        table = await ingestion.lance.find_table(tenant_id, generation.table_space, generation.dimensions)
        if table is not None:  # nothing was ever indexed into it otherwise
            async with ingestion.writer.lease(generation):
                current = partial(ingestion.indexes.generations.current, generation)
                reports[table.name] = await maintain(table, current, retain=retain)
    return reports


def _metadata(reports: Mapping[str, "MaintenanceReport"]) -> dict[str, Any]:
    records = [
        dg.TableRecord(
            {
                "table": name,
                "rows": report.after.rows,
                "unindexed_before": report.before.unindexed_rows,
                "unindexed_after": report.after.unindexed_rows,
                "fragments_before": report.before.fragments,
                "fragments_after": report.after.fragments,
                "versions_pruned": max(0, report.before.versions - report.after.versions),
                "chunks_removed": report.removed_chunks,
                "bytes": report.after.size_bytes,
                "new_indexes": ", ".join(report.new_indexes),
            }
        )
        for name, report in reports.items()
    ]
    return {
        "tables": len(records),
        "rows": sum(report.after.rows for report in reports.values()),
        "chunks_removed": sum(report.removed_chunks for report in reports.values()),
        "unindexed_rows": sum(report.after.unindexed_rows for report in reports.values()),
        "by_table": dg.MetadataValue.table(records, _SCHEMA),
    }


_SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn("table", "string"),
        dg.TableColumn("rows", "int"),
        dg.TableColumn("unindexed_before", "int"),
        dg.TableColumn("unindexed_after", "int"),
        dg.TableColumn("fragments_before", "int"),
        dg.TableColumn("fragments_after", "int"),
        dg.TableColumn("versions_pruned", "int"),
        dg.TableColumn("chunks_removed", "int"),
        dg.TableColumn("bytes", "int"),
        dg.TableColumn("new_indexes", "string"),
    ]
)

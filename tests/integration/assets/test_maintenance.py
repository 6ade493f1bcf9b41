"""The nightly asset leaves every tenant's table equal to SQL, and says what it did."""

import os
import time
from datetime import timedelta

import dagster as dg
import pytest

from assets.definitions import definitions_with
from assets.maintenance.schedules import nightly_maintenance
from stores.sql.models import DocumentRow, DocumentStatus, Lane
from tests.factories.posting import Poster
from tests.integration.assets.batch import Batch

TEXTS = ["A first text, about nothing.", "A second text, about as much."]


def maintain(batch: Batch, asset: str = "index_maintenance") -> dict[str, object]:
    """Run the nightly job; return what the asset says of it."""
    job = definitions_with(batch.platform).resolve_job_def("maintain")
    result = job.execute_in_process(instance=batch.instance)
    [event] = [done for done in result.get_asset_materialization_events() if done.asset_key == dg.AssetKey(asset)]
    metadata = event.step_materialization_data.materialization.metadata
    return {name: getattr(value, "value", value) for name, value in metadata.items()}


def test_chunks_that_sql_does_not_know_are_removed(batch: Batch) -> None:
    """A document that vanished from SQL leaves the index at night; the others stay, and the counts are told."""
    first, second = batch.tenant(bucket=3), batch.tenant(bucket=3)
    kept, gone = batch.post(first, TEXTS, lane=Lane.BATCH)
    batch.post(second, TEXTS, lane=Lane.BATCH)
    batch.materialize(3)

    async def forget(poster: Poster) -> None:
        async with poster.database.transaction() as session:
            row = await session.get_one(DocumentRow, gone)
            row.status = DocumentStatus.DELETED

    batch.run(forget)
    said = maintain(batch)
    assert batch.stored_chunks(first).keys() == {kept}
    assert (said["tables"], said["rows"], said["chunks_removed"], said["tenants_failed"]) == (2, 3, 1, 0)


def test_vectors_of_deleted_documents_are_forgotten(batch: Batch) -> None:
    """What a worker that stood still remembered of a document after its deletion goes with the night; no other does."""
    tenant_id = batch.tenant(bucket=3)
    kept, gone = batch.post(tenant_id, TEXTS, lane=Lane.BATCH)
    batch.materialize(3)
    assert batch.documents_with_cached_vectors() == {kept, gone}

    async def delete_without_a_job(poster: Poster) -> None:
        async with poster.database.transaction() as session:
            (await session.get_one(DocumentRow, gone)).status = DocumentStatus.DELETED

    batch.run(delete_without_a_job)
    assert maintain(batch)["documents_forgotten"] == 1
    assert batch.documents_with_cached_vectors() == {kept}


def test_tables_between_stages_are_removed_when_they_are_old(batch: Batch) -> None:
    """Stage tables hold text of documents that may be deleted by now: they go with the night after their day."""
    batch.post(batch.tenant(bucket=3), TEXTS, lane=Lane.BATCH)
    batch.materialize(3)
    tables = sorted(batch.platform.stage_folder.rglob("*.parquet"))
    assert len(tables) == 5
    old = time.time() - timedelta(days=2).total_seconds()
    for table in tables[:4]:
        os.utime(table, (old, old))
    assert maintain(batch)["stage_tables_removed"] == 4
    assert [table for table in tables if table.exists()] == tables[4:]


def test_records_that_are_over_are_deleted(batch: Batch) -> None:
    """The same night clears the tables of what nobody may use any more, and tells how much of each."""
    assert maintain(batch, "expired_records") == {
        "idempotency_records": 0,
        "revoked_tokens": 0,
        "refresh_tokens": 0,
        "sessions": 0,
        "signing_keys": 0,
        "mails": 0,
        "mailed_tokens": 0,
        "rag_source_pushes": 0,
        "executions": 0,
        "webhook_deliveries": 0,
        "outbox": 0,
    }


def test_maintenance_runs_every_night_by_itself() -> None:
    """The schedule is on without anybody turning it on."""
    assert nightly_maintenance.default_status is dg.DefaultScheduleStatus.RUNNING
    assert nightly_maintenance.cron_schedule == "17 3 * * *"


def test_deleted_documents_are_erased_when_their_time_is_over(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The night after the grace takes bytes and revisions, and says of how many documents."""
    monkeypatch.setenv("CODEXOS_DELETED_RETAIN_HOURS", "1")
    tenant_id = batch.tenant(bucket=3)
    kept, recent, gone = batch.post(tenant_id, [*TEXTS, "A third text."], lane=Lane.BATCH)
    batch.materialize(3)

    async def delete(poster: Poster) -> None:
        async with poster.database.transaction() as session:
            for document_id, hours in ((recent, 0), (gone, 2)):
                row = await session.get_one(DocumentRow, document_id)
                row.status = DocumentStatus.DELETED
                row.deleted_at = poster.clock.now() - timedelta(hours=hours)

    batch.run(delete)
    assert maintain(batch, "erased_documents") == {"erased": 1}
    assert {name: row.source == "" for name, row in batch.documents().items()} == {
        kept: False,
        recent: False,
        gone: True,
    }

"""The five assets do in a Dagster run what the stream lane does, and say so."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from core.errors import DocumentUnreadable
from core.ids import DocumentId
from pipelines.embedding.base import Vectors
from pipelines.embedding.hashed import HashEmbedder
from stores.sql.models import DocumentStatus, JobStatus, Lane
from tests.fakes.plain_text_parser import BROKEN
from tests.integration.assets.batch import Batch, materialized, with_embedder

ASSETS = ["documents", "elements", "chunks", "embeddings", "search_index"]
TEXTS = [f"Document {number} speaks of the letter {chr(97 + number)}.\n\nIts end is near." for number in range(5)]


def test_documents_posted_to_the_batch_lane_are_indexed_by_a_run(batch: Batch) -> None:
    """A run leaves documents indexed, jobs closed by the batch lane, chunks in Lance and events in the outbox."""
    tenant_id = batch.tenant(bucket=3)
    posted = batch.post(tenant_id, TEXTS, lane=Lane.BATCH)
    result = batch.materialize(3)
    assert result.success
    rows = batch.documents()
    assert {row.status for row in rows.values()} == {DocumentStatus.INDEXED}
    assert batch.stored_chunks(tenant_id) == {document_id: rows[document_id].chunk_count for document_id in posted}
    assert {(job.status, job.finished_by) for job in batch.jobs()} == {(JobStatus.SUCCEEDED, Lane.BATCH)}
    assert batch.events() == {"rag.document.indexed": len(TEXTS)}


def test_materialisations_say_what_was_done(batch: Batch) -> None:
    """Each asset's materialisation of the partition carries counts, a schema and a picture."""
    batch.post(batch.tenant(bucket=3), [*TEXTS, BROKEN], lane=Lane.BATCH)
    result = batch.materialize(3)
    said = {asset: materialized(result, asset) for asset in ASSETS}
    assert said["documents"]["documents"] == 6
    assert said["elements"]["elements"] == 10
    assert said["elements"]["elements_by_kind"] == {"text": 10}
    assert said["elements"]["failures_by_code"] == {"DOCUMENT_UNREADABLE": 1}
    assert said["chunks"]["chunks"] == said["embeddings"]["vectors"] == said["search_index"]["rows_indexed"] > 0
    assert 0 < said["chunks"]["chunk_tokens_mean"] <= said["chunks"]["chunk_tokens_max"] <= 40
    assert said["search_index"]["documents_indexed"] == 5
    for metadata in said.values():
        assert "data:image/svg+xml;base64," in metadata["plot"]
        assert metadata["dagster/row_count"] == 6
        assert metadata["seconds"] > 0
        assert metadata["dagster/column_schema"].columns


def test_checks_are_recorded_for_the_partition(batch: Batch) -> None:
    """Every check of a sound run passes, says which expectations it held, and is recorded under its bucket."""
    batch.post(batch.tenant(bucket=3), TEXTS, lane=Lane.BATCH)
    evaluations = batch.materialize(3).get_asset_check_evaluations()
    assert {(check.check_name, check.passed, check.partition) for check in evaluations} == {
        (name, True, "bucket_03")
        for name in (
            "documents_are_identified",
            "chunks_are_sound",
            "languages_are_known",
            "vectors_have_length_one",
            "every_chunk_has_its_vector",
            "index_holds_every_chunk",
            "index_tail_is_short",
        )
    }
    [sound] = [check for check in evaluations if check.check_name == "chunks_are_sound"]
    records = sound.metadata["expectations"].records  # type: ignore[union-attr]
    assert {record.data["expectation"] for record in records} >= {
        "expect_column_values_to_be_in_set",
        "expect_compound_columns_to_be_unique",
    }


def test_broken_document_fails_alone_with_its_sentence(batch: Batch) -> None:
    """One unreadable file fails its own job; the rest of the bucket is indexed and no check is bothered."""
    posted = batch.post(batch.tenant(bucket=3), [TEXTS[0], BROKEN, TEXTS[1]], lane=Lane.BATCH)
    assert batch.materialize(3).success
    rows = batch.documents()
    assert [rows[document_id].status for document_id in posted] == ["indexed", "failed", "indexed"]
    broken = rows[posted[1]]
    assert broken.error_code == DocumentUnreadable.code
    assert broken.error_message == "The file is damaged; save it again and post it once more."
    assert batch.events() == {"rag.document.indexed": 2, "rag.document.failed": 1}


def test_two_buckets_and_two_sources_make_their_union(batch: Batch) -> None:
    """Two buckets with two sources each hold all four sources' chunks, and a second run changes no count."""
    tenants = [batch.tenant(bucket=bucket) for bucket in (3, 5)]
    posted: dict[DocumentId, str] = {}
    for tenant_id in tenants:
        for source in ("one.txt", "two.txt"):
            texts = [f"{text} {source}" for text in TEXTS[:2]]
            ids = batch.post(tenant_id, texts, lane=Lane.BATCH, source=source)
            posted |= dict(zip(ids, texts, strict=True))
    for bucket in (3, 5):
        batch.materialize(bucket)
    first = [batch.stored_chunks(tenant_id) for tenant_id in tenants]
    assert first[0].keys() | first[1].keys() == posted.keys()
    assert [len(held) for held in first] == [4, 4]
    for bucket in (3, 5):
        result = batch.materialize(bucket, documents={"scope": "all"})
        assert materialized(result, "documents")["posted_for_reindex"] == 4
    assert [batch.stored_chunks(tenant_id) for tenant_id in tenants] == first


def test_run_with_nothing_to_do_succeeds(batch: Batch) -> None:
    """An empty bucket is materialised with zeros, and its checks pass."""
    result = batch.materialize(7)
    assert result.success
    assert materialized(result, "search_index")["rows_indexed"] == 0


def test_deletion_is_carried_out_by_a_run(batch: Batch) -> None:
    """A deletion that the stream lane left lying takes the document's chunks out of the index, and only those."""
    tenant_id = batch.tenant(bucket=3)
    kept, gone = batch.post(tenant_id, TEXTS[:2], lane=Lane.BATCH)
    batch.materialize(3)
    batch.run(lambda poster: poster.delete(tenant_id, gone))
    batch.let_wait()
    batch.materialize(3, documents={"scope": "pending"})
    assert batch.stored_chunks(tenant_id).keys() == {kept}
    assert batch.documents_with_cached_vectors() == {kept}


def test_run_takes_no_more_than_it_may(batch: Batch) -> None:
    """`max_jobs` bounds a run; what is left waits, is announced, and is done by the next."""
    batch.post(batch.tenant(bucket=3), TEXTS, lane=Lane.BATCH)
    first = materialized(batch.materialize(3, documents={"max_jobs": 2}), "documents")
    assert (first["documents"], first["left_waiting"]) == (2, 3)
    second = materialized(batch.materialize(3, documents={"max_jobs": 2, "scope": "pending"}), "documents")
    assert (second["documents"], second["left_waiting"]) == (2, 1)


def test_run_takes_no_more_bytes_than_it_may(batch: Batch) -> None:
    """`max_bytes` stops a run from taking further jobs."""
    batch.post(batch.tenant(bucket=3), [f"{number} {'word ' * 30}" for number in range(150)], lane=Lane.BATCH)
    said = materialized(batch.materialize(3, documents={"max_bytes": 1_000}), "documents")
    assert said["documents"] == 100
    assert said["left_waiting"] == 50


def test_progress_of_a_run_is_seen_while_it_works(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's row says how far the run has come, as it does in the stream lane; the last word is the writer's."""
    monkeypatch.setenv("CODEXOS_JOB_LEASE_SECONDS", "2")
    seen: list[dict[str, Any]] = []

    class WaitingEmbedder(HashEmbedder):
        """Embeds once the letterbox shows that every job is at the stage before."""

        def embed(self, texts: Sequence[str]) -> Vectors:
            deadline = time.monotonic() + 30
            while {job.progress.get("stage") for job in batch.jobs()} != {"chunked"}:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            seen.extend(job.progress for job in batch.jobs())
            return super().embed(texts)

    tenant_id = batch.tenant(bucket=3)
    batch.post(tenant_id, TEXTS, lane=Lane.BATCH)
    batch.materialize(3, platform=with_embedder(WaitingEmbedder()))
    assert len(seen) == len(TEXTS)
    assert all(progress["elements"] >= 1 and progress["chunks"] >= 1 for progress in seen)
    assert {job.progress["stage"] for job in batch.jobs()} == {"indexed"}

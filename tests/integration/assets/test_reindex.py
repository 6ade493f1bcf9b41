"""A backfill builds everything anew while queries are answered throughout."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytest

from core.ids import DocumentId, TenantId
from pipelines.embedding.base import Vectors
from pipelines.embedding.hashed import HashEmbedder
from pipelines.retrieval.query import QueryRequest, search
from stores.sql.models import DocumentStatus, Lane
from tests.integration.assets.batch import Batch, materialized, with_embedder

SUBJECTS = ["amber", "basalt", "cobalt", "dolomite", "emerald", "flint"]
TEXTS = [f"All that is known of {subject}.\n\nWhere {subject} is found, and how." for subject in SUBJECTS]


class Counted(HashEmbedder):
    """Counts the texts it embeds."""

    def __init__(self) -> None:
        super().__init__()
        self.texts = 0

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts += len(texts)
        return super().embed(texts)


class Asking(threading.Thread):
    """Asks for each subject in turn, on a thread and event loop of its own, and notes answers that are missing."""

    def __init__(self, batch: Batch, tenant_id: TenantId, expected: dict[str, DocumentId]) -> None:
        super().__init__(daemon=True)
        self.batch, self.tenant_id, self.expected = batch, tenant_id, expected
        self.stop = threading.Event()
        self.asked = 0
        self.missing: list[str] = []

    def run(self) -> None:
        asyncio.run(self._ask())

    async def _ask(self) -> None:
        async with self.batch.platform.ingestion() as ingestion:
            embedder = ingestion.embedder
            table = await ingestion.lance.open_table(self.tenant_id, embedder.space, embedder.dimensions)
            generation = await ingestion.indexes.of(self.tenant_id)
            visible = partial(ingestion.indexes.generations.visible, self.tenant_id, generation)
            while not self.stop.is_set():
                for subject, document_id in self.expected.items():
                    hits = await search(table, embedder, QueryRequest(query=subject, limit=3), visible)
                    self.asked += 1
                    if document_id not in {hit.document_id for hit in hits}:
                        self.missing.append(subject)


@contextmanager
def asking(batch: Batch, tenant_id: TenantId, expected: dict[str, DocumentId]) -> Iterator[Asking]:
    thread = Asking(batch, tenant_id, expected)
    thread.start()
    try:
        yield thread
    finally:
        thread.stop.set()
        thread.join(timeout=30)


@pytest.fixture
def indexed(batch: Batch) -> tuple[TenantId, list[DocumentId]]:
    tenant_id = batch.tenant(bucket=3)
    posted = batch.post(tenant_id, TEXTS, lane=Lane.BATCH)
    batch.materialize(3)
    return tenant_id, posted


def test_backfill_embeds_everything_again_and_queries_go_on(
    batch: Batch, indexed: tuple[TenantId, list[DocumentId]]
) -> None:
    """With `reuse` off every chunk is embedded anew; no query comes back without its document meanwhile."""
    tenant_id, posted = indexed
    before = batch.stored_chunks(tenant_id)
    embedder = Counted()
    with asking(batch, tenant_id, dict(zip(SUBJECTS, posted, strict=True))) as thread:
        result = batch.materialize(
            3, platform=with_embedder(embedder), documents={"scope": "all"}, embeddings={"reuse": False}
        )
    said = materialized(result, "embeddings")
    assert embedder.texts == said["vectors_computed"] == said["vectors"] == sum(before.values())
    assert batch.stored_chunks(tenant_id) == before
    assert {row.status for row in batch.documents().values()} == {DocumentStatus.INDEXED}
    assert thread.asked >= len(SUBJECTS)
    assert thread.missing == []


def test_backfill_reuses_vectors_of_texts_embedded_before(
    batch: Batch, indexed: tuple[TenantId, list[DocumentId]]
) -> None:
    """By default the same text is not embedded twice."""
    said = materialized(batch.materialize(3, documents={"scope": "all"}), "embeddings")
    assert said["vectors_computed"] == 0
    assert said["vectors_reused"] == said["vectors"] > 0


def test_document_revised_before_the_backfill_ends_up_at_its_new_revision(
    batch: Batch, indexed: tuple[TenantId, list[DocumentId]]
) -> None:
    """A new revision that is waiting is taken instead of the old one: the document has one open job, not two."""
    tenant_id, posted = indexed
    batch.post(tenant_id, ["All that is new of amber."], document_id=posted[0], lane=Lane.BATCH)
    result = batch.materialize(3, documents={"scope": "all"})
    assert materialized(result, "documents")["posted_for_reindex"] == len(posted) - 1
    row = batch.documents()[posted[0]]
    assert (row.status, row.indexed_revision, row.chunk_count) == (DocumentStatus.INDEXED, 2, 1)

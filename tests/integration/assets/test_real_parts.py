"""Once with nothing replaced: the jailed parser and the real model in a Dagster run."""

import asyncio
from functools import partial

import dagster as dg
import pytest

from assets.resources import PlatformResource
from core.ids import TenantId
from pipelines.document import Hit
from pipelines.retrieval.query import QueryRequest, search
from stores.sql.models import Lane
from tests.integration.assets.batch import Batch, materialized

TEXTS = [
    "Bees\n\nA colony of honey bees keeps its brood at thirty-five degrees, winter and summer.",
    "Bridges\n\nThe old suspension bridge was closed after the wind had torn two of its hangers.",
]


async def ask(batch: Batch, tenant_id: TenantId, question: str) -> list[Hit]:
    async with batch.platform.ingestion() as ingestion:
        embedder = ingestion.embedder
        table = await ingestion.lance.open_table(tenant_id, embedder.space, embedder.dimensions)
        visible = partial(ingestion.indexes.generations.visible, tenant_id, await ingestion.indexes.of(tenant_id))
        return await search(table, embedder, QueryRequest(query=question, limit=2), visible)


def test_run_with_the_real_parser_and_model_answers_questions(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents parsed in the jail and embedded by the model are found by what they mean."""
    monkeypatch.setenv("CODEXOS_EMBEDDER", "local")
    real = Batch(batch.instance, PlatformResource())
    tenant_id = real.tenant(bucket=3)
    bees, bridges = real.post(tenant_id, TEXTS, lane=Lane.BATCH)
    result = real.materialize(3)
    assert isinstance(result, dg.ExecuteInProcessResult)
    assert materialized(result, "search_index")["documents_indexed"] == 2
    found = asyncio.run(ask(real, tenant_id, "How warm is it inside a beehive?"))
    assert found[0].document_id == bees
    found = asyncio.run(ask(real, tenant_id, "Why can nobody cross the river any more?"))
    assert found[0].document_id == bridges

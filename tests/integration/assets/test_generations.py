"""Dagster builds generations: one that is killed is gone on with, and the golden questions are a check."""

import asyncio
import base64
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from xml.etree import ElementTree

import dagster as dg
from sqlalchemy import update

from assets.definitions import definitions_with
from assets.generations.sensors import generation_builder
from core.ids import DocumentId, GenerationId, TenantId, new_id
from pipelines.assembly import Ingestion
from pipelines.streams.ingest_lane import work_off
from stores.generations import Generation
from stores.job_keeper import keep
from stores.sql.models import GenerationRow, GenerationState, GoldenSetRow, Lane
from tests.fakes.nursery import Nursery
from tests.integration.assets.batch import Batch, materialized

Result = TypeVar("Result")
FINE = {"strategy": "fixed", "chunk_tokens": 8, "overlap_tokens": 0}


def with_ingestion(batch: Batch, work: Callable[[Ingestion], Coroutine[Any, Any, Result]]) -> Result:
    async def do() -> Result:
        async with batch.platform.ingestion() as ingestion:
            return await work(ingestion)

    return asyncio.run(do())


def index(batch: Batch) -> None:
    """Do what is waiting, as the stream lane would: quicker than a run."""

    async def work(ingestion: Ingestion) -> None:
        while jobs := await ingestion.letterbox.claim("test", Lane.STREAM, limit=32):
            async with keep(ingestion.letterbox, jobs, lease=ingestion.job_lease) as kept:
                await work_off(ingestion.tools, ingestion.writer, jobs, kept)

    with_ingestion(batch, work)


def candidate_of(batch: Batch, tenant_id: TenantId) -> Generation:
    """Ask for a generation, as the API does."""

    async def add(ingestion: Ingestion) -> Generation:
        await ingestion.indexes.of(tenant_id)
        generation_id = GenerationId(new_id())
        async with ingestion.database.transaction() as session:
            session.add(
                GenerationRow(
                    id=generation_id,
                    tenant_id=tenant_id,
                    number=2,
                    state=GenerationState.BUILDING,
                    embedder="hashed-32",
                    space="hashed-32",
                    dimensions=32,
                    table_space="hashed-32-g2",
                    chunking=FINE,
                    created_by="test",
                    created_at=batch.platform.clock.now(),
                )
            )
        found = await ingestion.indexes.generations.find(generation_id)
        assert found is not None
        return found

    return with_ingestion(batch, add)


def held(batch: Batch, generation: Generation) -> dict[DocumentId, int]:
    """Return the chunks of each document that the generation's table holds; one revision of each."""

    async def read(ingestion: Ingestion) -> dict[DocumentId, int]:
        table = await ingestion.lance.find_table(generation.tenant_id, generation.table_space, generation.dimensions)
        assert table is not None
        stored = await table.stored_documents()
        assert len(stored) == len({found.document_id for found in stored}), "two revisions of one document"
        assert len(set(ids := await table.chunk_ids())) == len(ids), "a chunk twice"
        return {found.document_id: found.chunks for found in stored}

    return with_ingestion(batch, read)


def state_of(batch: Batch, generation: Generation) -> GenerationState:
    found = with_ingestion(batch, lambda ingestion: ingestion.indexes.generations.find(generation.id))
    assert found is not None
    return found.state


def run_builder(batch: Batch, generation: Generation | None = None) -> dg.ExecuteInProcessResult:
    job = definitions_with(batch.platform).resolve_job_def("build_generations")
    config = {"generation_id": generation.id} if generation else {}
    return job.execute_in_process(
        instance=batch.instance, run_config={"ops": {"index_generations": {"config": config}}}
    )


def texts(count: int) -> list[str]:
    return [f"Note {number} tells at some length of the lamp that hangs above the stair." for number in range(count)]


def test_a_killed_builder_is_gone_on_with(batch: Batch, nursery: Nursery) -> None:
    """kill -9 between two batches: the next run writes what is lacking and nothing twice."""
    tenant_id = batch.tenant(bucket=3)
    posted = batch.post(tenant_id, texts(70))
    index(batch)
    candidate = candidate_of(batch, tenant_id)
    assert nursery.ended(nursery.begin("tests.fakes.doomed_builder", "2")) == -signal.SIGKILL, nursery.log.read_text()
    assert 32 <= len(held(batch, candidate)) < 70
    assert state_of(batch, candidate) is GenerationState.BUILDING
    result = materialized(run_builder(batch, candidate), "index_generations")
    assert result["documents"] < 70
    assert held(batch, candidate).keys() == set(posted)
    assert set(held(batch, candidate).values()) == {2}
    assert state_of(batch, candidate) is GenerationState.READY


def test_the_sensor_starts_a_run_for_what_wants_one(batch: Batch) -> None:
    """One that is to be built, and none for one that is in step."""
    tenant_id = batch.tenant(bucket=3)
    batch.post(tenant_id, texts(2))
    index(batch)

    def tick() -> list[str]:
        resources = {"platform": batch.platform}
        with dg.build_sensor_context(instance=batch.instance, resources=resources) as context:
            found = generation_builder.evaluate_tick(context).run_requests or []
        return [request.tags["codexos/generation"] for request in found]

    assert tick() == []
    candidate = candidate_of(batch, tenant_id)
    assert tick() == [candidate.id]
    run_builder(batch)
    assert tick() == []


def test_golden_questions_are_a_check_with_a_trend(batch: Batch) -> None:
    """A candidate that finds less fails it; the metadata shows by how much, and how it went before."""
    tenant_id = batch.tenant(bucket=3)
    [lamp, *_] = batch.post(tenant_id, ["The lamp was lit.", *texts(30)])
    index(batch)
    question = {"query": "lit", "relevant": [{"document_id": lamp, "grade": 1}]}

    async def ask(ingestion: Ingestion) -> None:
        now = batch.platform.clock.now()
        async with ingestion.database.transaction() as session:
            session.add(
                GoldenSetRow(
                    id=new_id(),
                    tenant_id=tenant_id,
                    name="daily",
                    questions=[question],
                    version=1,
                    created_at=now,
                    updated_at=now,
                )
            )

    with_ingestion(batch, ask)
    candidate_of(batch, tenant_id)
    [passed] = run_builder(batch).get_asset_check_evaluations()
    assert passed.passed
    [row] = passed.metadata["by_set"].records
    assert (row.data["ndcg"], row.data["ndcg_active"], row.data["worse"]) == (1.0, 1.0, False)
    assert passed.metadata["trend"].value.startswith("![Golden questions")

    async def worsen(ingestion: Ingestion) -> None:
        for number, _state, evaluation in await ingestion.follower.work.evaluations(tenant_id):
            assert number == 2
            found = {**evaluation, "worse": True}
        [candidate] = [g for g in await ingestion.indexes.generations.of(tenant_id) if g.number == 2]
        await ingestion.follower.work.evaluated(candidate.id, found)

    with_ingestion(batch, worsen)
    [failed] = run_builder(batch).get_asset_check_evaluations()
    assert not failed.passed
    assert failed.metadata["worse"].value == f"{tenant_id} g2"


def test_the_trend_has_the_points_of_earlier_runs(batch: Batch) -> None:
    """Each time the questions are asked anew a point is added, and those of the runs before stay where they were."""
    tenant_id = batch.tenant(bucket=3)
    [lamp, *others] = batch.post(tenant_id, ["The lamp was lit.", *texts(30)])
    index(batch)
    found = {"query": "lit", "relevant": [{"document_id": lamp, "grade": 1}]}
    # More are relevant than are looked at: not all of them can be found.
    wide = {"query": "lamp", "relevant": [{"document_id": each, "grade": 1} for each in [lamp, *others]]}
    candidate_of(batch, tenant_id)
    shown: list[dict[str, list[float]]] = []
    for version, questions in enumerate(([found], [wide], [found, wide]), start=1):
        with_ingestion(batch, golden_set(batch, tenant_id, version, questions))
        [checked] = run_builder(batch).get_asset_check_evaluations()
        shown.append(points_of(checked.metadata["trend"]))
        assert [len(line) for line in shown[-1].values()] == [version, version]
        for name, before in shown[-2].items() if version > 1 else ():
            assert shown[-1][name][:-1] == before
    first, second, third = shown[-1]["recall@10"]
    assert second < third < first == 1.0
    [again] = run_builder(batch).get_asset_check_evaluations()
    assert points_of(again.metadata["trend"]) == shown[-1], "nothing was asked, so nothing is added"


def golden_set(
    batch: Batch, tenant_id: TenantId, version: int, questions: list[dict[str, Any]]
) -> Callable[[Ingestion], Coroutine[Any, Any, None]]:
    """Write the questions as this version of the tenant's set."""
    now = batch.platform.clock.now()

    async def write(ingestion: Ingestion) -> None:
        async with ingestion.database.transaction() as session:
            if version == 1:
                session.add(
                    GoldenSetRow(
                        id=new_id(),
                        tenant_id=tenant_id,
                        name="daily",
                        questions=questions,
                        version=version,
                        created_at=now,
                        updated_at=now,
                    )
                )
            else:
                changed = {"questions": questions, "version": version, "updated_at": now}
                await session.execute(update(GoldenSetRow).where(GoldenSetRow.tenant_id == tenant_id).values(**changed))

    return write


def points_of(trend: dg.MetadataValue[Any]) -> dict[str, list[float]]:
    """Return what the plot's points are labelled with: the numbers of each line, oldest first."""
    picture = ElementTree.fromstring(base64.b64decode(str(trend.value).split("base64,")[1].removesuffix(")")))
    lines: dict[str, list[float]] = {}
    for label in picture.iter("{http://www.w3.org/2000/svg}title"):
        name, value = (label.text or "").rsplit(" ", 1)
        lines.setdefault(name, []).append(float(value))
    return lines

"""Works survive the way into a table, a Parquet file and back."""

import io
from datetime import UTC, datetime

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.rag.tables import (
    chunks_table,
    elements_table,
    embeddings_table,
    exploded,
    index_table,
    jobs_in,
    jobs_table,
    vector_norms,
    works_in,
)
from core.errors import DocumentUnreadable, EmbeddingFailed, IngestFailed
from core.ids import DocumentId, GenerationId, JobId, TenantId
from pipelines.document import ChunkingConfig, ChunkingStrategy, Document, Element, ElementKind, Passage
from pipelines.ingest import Work
from stores.generations import Generation
from stores.letterbox import Job
from stores.sql.models import GenerationState, JobKind, Lane

# What UTF-8 can spell; half surrogate pairs have a test of their own.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
pages = st.none() | st.integers(1, 5_000)
metadata = st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts | st.lists(texts), max_size=3)
elements = st.builds(Element, kind=st.sampled_from(ElementKind), text=texts, page=pages, section=st.none() | texts)
passages = st.builds(
    Passage,
    position=st.integers(0, 99),
    text=texts,
    start=st.integers(0, 99),
    end=st.integers(0, 99),
    tokens=st.integers(1, 254),
    page=pages,
    section=st.none() | texts,
)
documents = st.builds(
    Document,
    tenant_id=texts.map(TenantId),
    document_id=texts.map(DocumentId),
    revision=st.integers(1, 9),
    source=texts,
    source_type=texts,
    collection=texts,
    metadata=metadata,
    chunking=st.builds(ChunkingConfig, strategy=st.sampled_from(ChunkingStrategy)),
)
jobs = st.builds(
    Job,
    id=texts.map(JobId),
    tenant_id=texts.map(TenantId),
    kind=st.sampled_from(JobKind),
    document_id=texts.map(DocumentId),
    revision=st.integers(1, 9),
    bucket=st.integers(0, 15),
    lane=st.sampled_from(Lane),
    attempt=st.integers(1, 8),
    fence=st.integers(1, 99),
    created_at=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # hypothesis adds the zone
)


def a_generation(dimensions: int = 4) -> Generation:
    return Generation(
        id=GenerationId(f"g{dimensions}"),
        tenant_id=TenantId("t"),
        number=1,
        state=GenerationState.ACTIVE,
        embedder="hashed",
        space="hashed",
        dimensions=dimensions,
        table_space="hashed",
        chunking=None,
    )


@st.composite
def works(draw: st.DrawFn) -> Work:
    cut = tuple(draw(st.lists(passages, max_size=3)))
    # Tenants of one bucket may have indexes of different dimensions.
    generation = a_generation(draw(st.sampled_from([2, 4])))
    count = len(cut) * generation.dimensions
    numbers = draw(st.lists(st.floats(-1, 1, width=32), min_size=count, max_size=count))
    return Work(
        job=draw(jobs),
        document=draw(st.none() | documents),
        generation=generation,
        elements=tuple(draw(st.lists(elements, max_size=3))),
        passages=cut,
        vectors=np.array(numbers, np.float32).reshape(len(cut), generation.dimensions),
        expanded=draw(st.none() | st.dictionaries(st.sampled_from(["documents", "changed"]), st.integers(0, 9))),
    )


def stored(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table as Parquet gives it back."""
    file = io.BytesIO()
    table.write_parquet(file)
    return pl.read_parquet(file.getvalue())


@settings(deadline=None)  # the first call imports what the tables are made with
@given(st.lists(jobs, max_size=4))
def test_jobs_come_back_as_they_went(found: list[Job]) -> None:
    """Every field of a job, its fence and lane among them, is what it was."""
    assert jobs_in(stored(jobs_table(found))) == found


@settings(deadline=None)
@given(st.lists(works(), max_size=4))
def test_works_come_back_as_they_went(found: list[Work]) -> None:
    """Documents with any metadata, elements, passages and vectors are what they were, row for row."""
    back = works_in(stored(embeddings_table(found)))
    for work, expected in zip(back, found, strict=True):
        assert (work.job, work.document, work.generation, work.elements, work.passages, work.expanded) == (
            expected.job,
            expected.document,
            expected.generation,
            expected.elements,
            expected.passages,
            expected.expanded,
        )
        assert work.vectors is not None
        assert expected.vectors is not None
        assert work.vectors.dtype == np.float32
        np.testing.assert_array_equal(work.vectors, expected.vectors)


def a_job(number: int = 1) -> Job:
    return Job(
        id=JobId(f"j{number}"),
        tenant_id=TenantId("t"),
        kind=JobKind.INGEST,
        document_id=DocumentId(f"d{number}"),
        revision=1,
        bucket=3,
        lane=Lane.BATCH,
        attempt=1,
        fence=1,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def a_document() -> Document:
    return Document(
        tenant_id=TenantId("t"),
        document_id=DocumentId("d1"),
        revision=1,
        source="a.txt",
        source_type="text",
        collection="default",
        metadata={},
        chunking=ChunkingConfig(),
    )


def a_passage(position: int = 0) -> Passage:
    return Passage(position=position, text="word", start=0, end=4, tokens=1)


def test_failure_comes_back_with_its_kind_and_sentence() -> None:
    """Whether trying again may help is known after the way through a table."""
    failures: list[IngestFailed] = [DocumentUnreadable("It is damaged."), EmbeddingFailed("It did not answer.")]
    found = [Work(job=a_job(), failure=failure) for failure in failures]
    back = [work.failure for work in works_in(stored(elements_table(found)))]
    assert [type(failure) for failure in back] == [DocumentUnreadable, EmbeddingFailed]
    assert [failure.message for failure in back if failure] == ["It is damaged.", "It did not answer."]


def test_half_surrogate_pairs_are_replaced_one_for_one() -> None:
    """A text that UTF-8 cannot spell keeps its length, so offsets into it stay right."""
    broken = Work(job=a_job(), elements=(Element(kind=ElementKind.TEXT, text="a\ud800b", section="\udfff"),))
    [work] = works_in(stored(elements_table([broken])))
    assert (work.elements[0].text, work.elements[0].section) == ("a?b", "?")


def test_exploded_has_a_row_per_passage_and_none_for_works_without() -> None:
    """Checks see passages with their document's identity; failed works add no empty row."""
    found = [
        Work(job=a_job(1), document=a_document(), passages=(a_passage(0), a_passage(1))),
        Work(job=a_job(2), failure=DocumentUnreadable("It is damaged.")),
    ]
    table = exploded(chunks_table(found), "passages")
    assert table.select("document_id", "position", "tokens").rows() == [("d1", 0, 1), ("d1", 1, 1)]


def test_norms_are_of_each_vector() -> None:
    """The length and the dimensions of every vector are told; a table without vectors has no row."""
    vectors = np.array([[1, 0, 0, 0], [3, 4, 0, 0]], np.float32)
    work = Work(job=a_job(), document=a_document(), passages=(a_passage(0), a_passage(1)), vectors=vectors)
    assert vector_norms(embeddings_table([work])).rows() == [("d1", 1.0, 4), ("d1", 5.0, 4)]
    assert vector_norms(embeddings_table([])).height == 0
    assert vector_norms(embeddings_table([Work(job=a_job())])).height == 0


def test_index_is_to_hold_nothing_of_what_failed_or_is_gone() -> None:
    """Only works that are alive have chunks in the index."""
    cut = (a_passage(0),)
    found = [
        Work(job=a_job(1), document=a_document(), generation=a_generation(), passages=cut),
        Work(job=a_job(2), document=a_document(), passages=cut, failure=EmbeddingFailed("It did not answer.")),
        Work(job=a_job(3), passages=cut),
    ]
    assert index_table(found)["chunks"].to_list() == [1, 0, 0]

"""Works as tables and back: one row per job, and each stage adds its column.

A work that failed keeps its row, with the code and the sentence its job will be closed with.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from core.errors import CodexError, IngestFailed, InternalFailure
from core.ids import DocumentId, JobId, TenantId
from pipelines.document import ChunkingConfig, ChunkingStrategy, Document, Element, ElementKind, Passage
from pipelines.embedding.base import Vectors
from pipelines.ingest import Work, progress_of
from stores.generations import Generation
from stores.letterbox import Job
from stores.sql.models import GenerationState, JobKind, Lane

_ELEMENT = pl.Struct({"kind": pl.String, "text": pl.String, "page": pl.Int64, "section": pl.String})
_PASSAGE = pl.Struct(
    {
        "position": pl.Int64,
        "text": pl.String,
        "start": pl.Int64,
        "end": pl.Int64,
        "tokens": pl.Int64,
        "page": pl.Int64,
        "section": pl.String,
    }
)

JOB_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "job_id": pl.String,
    "tenant_id": pl.String,
    "kind": pl.String,
    "document_id": pl.String,
    "revision": pl.Int64,
    "bucket": pl.Int64,
    "lane": pl.String,
    "attempt": pl.Int64,
    "fence": pl.Int64,
    "created_at": pl.Datetime("us", "UTC"),
}
ELEMENT_COLUMNS = {
    **JOB_COLUMNS,
    "document": pl.String,  # JSON: its metadata is the user's own, of any shape; null when it was deleted meanwhile
    "generation": pl.String,  # JSON: the index that the work goes to; null likewise
    "failure_code": pl.String,
    "failure_message": pl.String,
    "expanded": pl.String,  # JSON: what became of a repository's documents; null for all else
    "elements": pl.List(_ELEMENT),
}
CHUNK_COLUMNS = {**ELEMENT_COLUMNS, "passages": pl.List(_PASSAGE)}
INDEX_COLUMNS = {
    "job_id": pl.String,
    "tenant_id": pl.String,
    "document_id": pl.String,
    "revision": pl.Int64,
    "chunks": pl.Int64,
}


def jobs_table(jobs: Sequence[Job]) -> pl.DataFrame:
    """Return one row per job."""
    return pl.DataFrame([_job_row(job) for job in jobs], schema=JOB_COLUMNS)


def jobs_in(table: pl.DataFrame) -> list[Job]:
    """Return the jobs of any stage's table."""
    return [_job(row) for row in table.select(*JOB_COLUMNS).iter_rows(named=True)]


def elements_table(works: Sequence[Work]) -> pl.DataFrame:
    """Return works that were parsed."""
    return pl.DataFrame([_work_row(work) for work in works], schema=ELEMENT_COLUMNS)


def chunks_table(works: Sequence[Work]) -> pl.DataFrame:
    """Return works that were cut."""
    rows = [{**_work_row(work), "passages": [asdict(passage) for passage in work.passages]} for work in works]
    return pl.DataFrame(rows, schema=CHUNK_COLUMNS)


def embeddings_table(works: Sequence[Work]) -> pl.DataFrame:
    """Return works whose passages have vectors: the column `vectors` is a list of float32 lists per job.

    Lists rather than arrays of one length: tenants of one bucket may have indexes of different dimensions.
    """
    return chunks_table(works).with_columns(_vectors_column([work.vectors for work in works]))


def index_table(works: Sequence[Work]) -> pl.DataFrame:
    """Return what the index should now hold of each work: no chunks of those that failed or were deleted."""
    rows = [{**_job_row(work.job), "chunks": len(work.passages) if work.alive else 0} for work in works]
    return pl.DataFrame(rows, schema={**JOB_COLUMNS, "chunks": pl.Int64}).select(*INDEX_COLUMNS)


def vector_norms(table: pl.DataFrame) -> pl.DataFrame:
    """Return one row per vector: its document, its length, and of how many numbers it is."""
    vectors = table.select("document_id", "vectors").explode("vectors").drop_nulls("vectors")
    numbers = pl.col("vectors").list
    return vectors.select(
        "document_id",
        numbers.eval(pl.element().cast(pl.Float64).pow(2)).list.sum().sqrt().alias("norm"),
        numbers.len().cast(pl.Int64).alias("dimensions"),
    )


def generations_in(table: pl.DataFrame) -> list[Generation]:
    """Return the indexes that the works of a stage's table go to."""
    return [generation_of(text) for text in table["generation"].drop_nulls().unique(maintain_order=True)]


def progress_in(table: pl.DataFrame, stage: str) -> dict[JobId, dict[str, int | str]]:
    """Return how far each job that makes chunks has come, for clients to see."""
    passages = pl.col("passages").list.len() if "passages" in table.columns else pl.lit(0)
    ingests = table.filter(pl.col("kind") == JobKind.INGEST.value)
    rows = ingests.select("job_id", pl.col("elements").list.len(), passages.alias("chunks")).iter_rows()
    return {JobId(job_id): progress_of(stage, elements, chunks) for job_id, elements, chunks in rows}


def works_in(table: pl.DataFrame) -> list[Work]:
    """Return the works of a stage's table as far as that stage brought them. Vectors are views of the table."""
    return [_work(row, table) for row in table.drop("vectors", strict=False).with_row_index().iter_rows(named=True)]


def exploded(table: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return one row per element or passage, with the job's identity beside it."""
    identity = ["job_id", "tenant_id", "document_id", "revision"]
    return table.select(*identity, column).explode(column).drop_nulls(column).unnest(column)


def _job_row(job: Job) -> dict[str, Any]:
    return {"job_id": job.id, **{name: getattr(job, name) for name in JOB_COLUMNS if name != "job_id"}}


def _work_row(work: Work) -> dict[str, Any]:
    return {
        **_job_row(work.job),
        "document": None if work.document is None else json.dumps(asdict(work.document)),
        "generation": None if work.generation is None else json.dumps(asdict(work.generation)),
        "failure_code": work.failure.code if work.failure else None,
        "failure_message": work.failure.message if work.failure else None,
        "expanded": None if work.expanded is None else json.dumps(dict(work.expanded)),
        "elements": [_element_row(element) for element in work.elements],
    }


def _element_row(element: Element) -> dict[str, Any]:
    section = None if element.section is None else _storable(element.section)
    return {"kind": element.kind.value, "text": _storable(element.text), "page": element.page, "section": section}


def _storable(text: str) -> str:
    """Replace half surrogate pairs, which UTF-8 cannot spell, one for one: chunk offsets go on counting right."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _vectors_column(vectors: Iterable[Vectors | None]) -> pl.Series:
    blocks = [np.empty((0, 0), np.float32) if block is None else block for block in vectors]
    flat = np.concatenate([np.empty(0, np.float32), *(block.ravel() for block in blocks)])
    lengths = [block.shape[1] for block in blocks for _ in range(len(block))]
    rows = pa.LargeListArray.from_arrays(_offsets(lengths), pa.array(flat, pa.float32()))
    return pl.Series("vectors", pl.from_arrow(pa.LargeListArray.from_arrays(_offsets(list(map(len, blocks))), rows)))


def _offsets(lengths: Sequence[int]) -> pa.Array:
    return pa.array(np.cumsum([0, *lengths], dtype=np.int64))


def _job(row: dict[str, Any]) -> Job:
    return Job(
        id=JobId(row["job_id"]),
        tenant_id=TenantId(row["tenant_id"]),
        kind=JobKind(row["kind"]),
        document_id=DocumentId(row["document_id"]),
        revision=row["revision"],
        bucket=row["bucket"],
        lane=Lane(row["lane"]),
        attempt=row["attempt"],
        fence=row["fence"],
        created_at=row["created_at"],
    )


def _work(row: dict[str, Any], table: pl.DataFrame) -> Work:
    generation = None if row["generation"] is None else generation_of(row["generation"])
    return Work(
        job=_job(row),
        document=_document(row["document"]),
        generation=generation,
        elements=tuple(Element(**{**found, "kind": ElementKind(found["kind"])}) for found in row["elements"]),
        passages=tuple(Passage(**found) for found in row.get("passages", ())),
        vectors=_vectors(table["vectors"][row["index"]], generation) if "vectors" in table.columns else None,
        failure=_failure(row["failure_code"], row["failure_message"]),
        expanded=None if row["expanded"] is None else json.loads(row["expanded"]),
    )


def _vectors(rows: pl.Series, generation: Generation | None) -> Vectors | None:
    if generation is None:
        return None
    return rows.explode(empty_as_null=False).to_numpy().reshape(-1, generation.dimensions)


def generation_of(text: str) -> Generation:
    """Return the index that a row's `generation` spells."""
    fields = json.loads(text)
    return Generation(**{**fields, "state": GenerationState(fields["state"])})


def _document(text: str | None) -> Document | None:
    if text is None:
        return None
    fields = json.loads(text)
    chunking = fields["chunking"]
    chunking["strategy"] = ChunkingStrategy(chunking["strategy"])
    return Document(**{**fields, "chunking": ChunkingConfig(**chunking)})


def _failure(code: str | None, message: str | None) -> CodexError | None:
    if code is None or message is None:
        return None
    kinds = {kind.code: kind for kind in IngestFailed.__subclasses__()}
    return kinds.get(code, InternalFailure)(message)

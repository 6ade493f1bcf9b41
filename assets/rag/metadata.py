"""What each asset says about itself in the Dagster UI: counts, a schema, a picture."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from assets.rag.plots import histogram
from assets.rag.steps import Embedding
from assets.rag.tables import exploded

if TYPE_CHECKING:
    # Loads LanceDB: a code server that only lists assets must not pay for it.
    from pipelines.index_writer import Outcome

Metadata = dict[str, Any]


def of_documents(table: pl.DataFrame, *, posted: int, waiting: int) -> Metadata:
    """Describe the jobs a run took. `waiting` ones are left for the next run."""
    return {
        **_of_table(table),
        "documents": table["document_id"].n_unique(),
        "tenants": table["tenant_id"].n_unique(),
        "deletions": int((table["kind"] == "rag.delete").sum()),
        "posted_for_reindex": posted,
        "left_waiting": waiting,
        "plot": histogram(table["attempt"].to_list(), title="Attempts per job", of="attempts"),
    }


def of_elements(table: pl.DataFrame) -> Metadata:
    """Describe what parsing found, by kind, and what it could not read, by code."""
    elements = exploded(table, "elements")
    per_document = table["elements"].list.len()
    return {
        **_of_table(table),
        **_failures(table),
        "elements": elements.height,
        "elements_by_kind": _counts(elements["kind"]),
        "plot": histogram(per_document.to_list(), title="Elements per document", of="elements"),
    }


def of_chunks(table: pl.DataFrame) -> Metadata:
    """Describe what cutting made."""
    tokens = exploded(table, "passages")["tokens"]
    return {
        **_of_table(table),
        **_failures(table),
        "chunks": tokens.len(),
        "chunk_tokens_mean": _number(tokens.mean()),
        "chunk_tokens_max": _number(tokens.max()),
        "plot": histogram(tokens.to_list(), title="Tokens per chunk", of="tokens"),
    }


def of_embeddings(table: pl.DataFrame, embedding: Embedding) -> Metadata:
    """Describe the vectors; those not computed were found in the cache by their text."""
    per_document = table["vectors"].list.len()
    vectors = int(per_document.sum())
    return {
        **_of_table(table),
        **_failures(table),
        "vectors": vectors,
        "vectors_computed": embedding.computed,
        "vectors_reused": vectors - embedding.computed,
        "embedding_spaces": embedding.spaces,
        "plot": histogram(per_document.to_list(), title="Vectors per document", of="vectors"),
    }


def of_index(table: pl.DataFrame, outcome: "Outcome") -> Metadata:
    """Describe what became of the run's jobs."""
    return {
        **_of_table(table),
        "documents_indexed": outcome.indexed,
        "rows_indexed": outcome.chunks,
        "documents_deleted": outcome.deleted,
        "documents_failed": outcome.failed,
        "jobs_cancelled": outcome.cancelled,
        "jobs_put_back": outcome.put_back,
        "jobs_lost": outcome.lost,
        "plot": histogram(table["chunks"].to_list(), title="Rows per document", of="rows"),
    }


def table_schema(schema: Mapping[str, Any]) -> dg.TableSchema:
    """Return the columns of a stage's table as Dagster shows them."""
    return dg.TableSchema(columns=[dg.TableColumn(name, str(kind)) for name, kind in schema.items()])


def _of_table(table: pl.DataFrame) -> Metadata:
    return {"dagster/row_count": table.height, "dagster/column_schema": table_schema(table.schema)}


def _failures(table: pl.DataFrame) -> Metadata:
    failed = table["failure_code"].drop_nulls()
    return {"documents_failed": failed.len(), "failures_by_code": _counts(failed)}


def _counts(values: pl.Series) -> dict[str, int]:
    return dict(sorted(values.value_counts().iter_rows()))


def _number(value: Any) -> float:
    return 0.0 if value is None else round(float(value), 2)

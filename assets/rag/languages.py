"""In which languages a run's chunks are, and which of these the embedder of their index does not know."""

from collections.abc import Callable
from typing import Any

import polars as pl

from assets.rag.tables import generation_of
from pipelines.language import language_of
from stores.generations import Generation

Languages = Callable[[Generation], frozenset[str] | None]
"""Returns the languages that the embedder of an index knows; None is all."""

UNCLEAR = "unclear"
"""A text that could well be in any language: a number, a name, a line of code."""

# Enough of a chunk to tell, in characters.
_GLANCE = 400
_SCHEMA = {"document_id": pl.String, "position": pl.Int64, "language": pl.String, "foreign": pl.String}


def chunk_languages(chunks: pl.DataFrame, known: Languages) -> pl.DataFrame:
    """Return one row a chunk: its language, and the same once more where its embedder does not know it."""
    spread = chunks.select("document_id", "generation", "passages").explode("passages").drop_nulls("passages")
    by_index = {text: known(generation_of(text)) for text in spread["generation"].unique()}
    rows: list[dict[str, Any]] = []
    for document_id, index, passage in spread.iter_rows():
        language = language_of(passage["text"][:_GLANCE])
        knows = by_index[index]
        is_foreign = language is not None and knows is not None and language not in knows
        rows.append(
            {
                "document_id": document_id,
                "position": passage["position"],
                "language": language or UNCLEAR,
                "foreign": language if is_foreign else None,
            }
        )
    return pl.DataFrame(rows, schema=_SCHEMA)

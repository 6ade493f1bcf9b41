"""Rows carry all there is of a chunk, under an id that only its own content gives."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import TenantId
from pipelines.index.rows import chunks_of, rows_of
from stores.lance.schema import chunk_schema
from stores.lance.terms import terms_of
from tests.factories.chunks import EMBEDDER, cut, rows


def test_rows_have_the_schema_of_the_table() -> None:
    """What the table demands is what is made, one row per passage, vectors in their places."""
    made = rows(cut("a", ["one", "two"], pages=[1, None]), cut("b", ["three"]))

    assert made.schema.equals(chunk_schema(EMBEDDER.dimensions))
    assert made["document_id"].to_pylist() == ["a", "a", "b"]
    assert made["page"].to_pylist() == [1, None, None]
    assert made["vector"].to_pylist() == EMBEDDER.embed(["one", "two", "three"]).tolist()


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20), st.lists(st.text(min_size=1), min_size=1, max_size=20))
def test_ids_follow_content(texts: list[str], others: list[str]) -> None:
    """Equal chunks have equal ids across revisions; anything else, even equal text elsewhere, has another id."""
    first, again = cut("a", texts), cut("a", texts, revision=2)
    elsewhere = [
        cut("b", texts),
        cut("a", texts, tenant_id=TenantId("01930000-0000-7000-8000-000000000009")),
    ]

    ids = [chunk.chunk_id for chunk in chunks_of(first.document, first.passages)]

    assert ids == [chunk.chunk_id for chunk in chunks_of(again.document, again.passages)]
    assert len(set(ids)) == len(texts)
    for other in elsewhere:
        assert set(ids).isdisjoint(chunk.chunk_id for chunk in chunks_of(other.document, other.passages))
    changed = cut("a", others)
    shared = {c.chunk_id for c in chunks_of(changed.document, changed.passages)} & set(ids)
    assert len(shared) == sum(text == other for text, other in zip(texts, others, strict=False))


def test_metadata_hides_system_fields_of_its_names() -> None:
    """A bare name means the user's value where there is one, and the system's where there is none."""
    hidden = cut("a", ["x"], metadata={"source_type": "documentation", "page": "cover"}, pages=[3])
    plain = cut("a", ["x"], pages=[3])

    assert set(terms_of({"source_type": "documentation", "page": "cover"})) <= set(rows(hidden)["terms"][0].as_py())
    assert '"source_type"="text"' not in rows(hidden)["terms"][0].as_py()
    assert '"page"=3' not in rows(hidden)["terms"][0].as_py()
    assert {'"source_type"="text"', '"page"=3'} <= set(rows(plain)["terms"][0].as_py())


def test_metadata_is_kept_as_json() -> None:
    """What the user said comes back as it was said."""
    metadata = {"ключ": ["é", {"x": 1.5}], "n": None}

    assert json.loads(rows(cut("a", ["x"], metadata=metadata))["metadata"].to_pylist()[0]) == metadata


def test_a_document_without_its_vectors_is_refused() -> None:
    """Half a document never reaches the table."""
    half = cut("a", ["one", "two"])
    short = type(half)(document=half.document, passages=half.passages, vectors=half.vectors[:1])

    with pytest.raises(ValueError, match="a vector for every passage"):
        rows_of([short])
    with pytest.raises(ValueError, match="nothing"):
        rows_of([])

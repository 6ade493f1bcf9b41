"""Passages that end where the subject turns."""

from collections.abc import Sequence

import numpy as np
import pytest

from pipelines.chunking import semantic
from pipelines.chunking.semantic import SemanticChunker, gap_distances
from pipelines.embedding.base import Vectors
from pipelines.embedding.hashed import HashEmbedder
from tests.factories.elements import config, paragraph, title

CATS = "The cat sleeps on the warm mat. A cat likes the warm mat. The cat and the mat are warm. "
BONDS = "Our bond yields rose this quarter. Quarter bond yields rose again. Bond yields this quarter rose. "


class _CountingEmbedder(HashEmbedder):
    texts = 0
    tokens = 0

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts += len(texts)
        self.tokens += sum(len(self.token_spans(text)) for text in texts)
        return super().embed(texts)


def test_a_passage_ends_where_the_subject_turns() -> None:
    """Two subjects in one paragraph make two passages, cut between them."""
    passages = SemanticChunker(HashEmbedder()).split([paragraph(CATS + BONDS)], config(60))
    assert [passage.text for passage in passages] == [CATS.strip(), BONDS.strip()]


def test_one_subject_is_cut_by_length_only() -> None:
    """Text that never turns fills its passages as far as they go."""
    passages = SemanticChunker(HashEmbedder()).split([paragraph(CATS * 10)], config(100))
    assert len(passages) <= 4


def test_a_title_is_joined_to_its_text() -> None:
    """However unlike its text a title is, it does not stand alone."""
    passages = SemanticChunker(HashEmbedder()).split([title("Zebra"), paragraph(CATS)], config(100))
    assert [passage.text for passage in passages] == ["Zebra\n\n" + CATS.strip()]


def test_a_long_document_costs_a_bounded_number_of_vectors() -> None:
    """Past the bound, sentences are taken together before they are embedded."""
    embedder = _CountingEmbedder(dimensions=16)
    text = " ".join(f"Sentence number {number} here." for number in range(12_000))
    passages = SemanticChunker(embedder).split([paragraph(text)], config(200))
    assert embedder.texts <= 1.2 * semantic._MAX_UNITS
    assert "Sentence number 11999 here." in passages[-1].text


def test_a_very_long_document_is_read_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound on tokens, only the beginning of each unit is read."""
    monkeypatch.setattr(semantic, "_TOKENS_READ", 2_000)
    monkeypatch.setattr(semantic, "_MAX_UNITS", 100)
    embedder = _CountingEmbedder(dimensions=16)
    text = " ".join(f"Sentence number {number} here." for number in range(4_000))
    SemanticChunker(embedder).split([paragraph(text)], config(200))
    assert embedder.tokens <= 2_000


def test_gap_distances_peak_at_the_turn() -> None:
    """The widest gap is the one between unlike neighbours, and like neighbours have none."""
    vectors = np.repeat(np.eye(2, dtype=np.float32), [4, 3], axis=0)
    distances = gap_distances(vectors)
    assert distances.shape == (6,)
    assert int(distances.argmax()) == 3
    assert distances[0] == 0.0
    assert distances[3] == 1.0

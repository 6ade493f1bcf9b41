"""The embedder's twin behaves like one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ValidationFailed
from pipelines.embedding import EMBEDDERS, open_embedder
from pipelines.embedding.hashed import HashEmbedder


@given(texts=st.lists(st.text(st.characters(), max_size=20), max_size=5))
def test_vectors_are_unit_vectors(texts: list[str]) -> None:
    """Any text has a vector of length one, also the empty one."""
    vectors = HashEmbedder(dimensions=8).embed(texts)
    assert vectors.shape == (len(texts), 8)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_texts_that_share_words_are_alike() -> None:
    """Which is all a test of retrieval needs."""
    question, answer, other = HashEmbedder().embed(["who feeds the cat", "the cat feeds itself", "bond yields rose"])
    assert question @ answer > 0.5 > question @ other


def test_an_unknown_embedder_is_refused_with_the_choice(tmp_path: Path) -> None:
    """The sentence names what there is."""
    with pytest.raises(ValidationFailed, match="hashed, local"):
        open_embedder("nonsense", model_folder=tmp_path, threads=1)
    assert set(EMBEDDERS) == {"hashed", "local"}

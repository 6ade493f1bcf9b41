"""The optional runtime, held to the exact one where it is installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from pipelines.embedding.local import LocalEmbedder
from pipelines.embedding.openvino_runtime import is_worthwhile
from pipelines.embedding.runtime import OnnxRuntime


def test_without_openvino_it_is_not_worthwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` asks for nothing that is not installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not is_worthwhile()


def test_auto_is_exact_where_bfloat16_is_missing(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU that would emulate bfloat16 keeps float32."""
    monkeypatch.setattr("pipelines.embedding.openvino_runtime.is_worthwhile", lambda: False)
    assert isinstance(LocalEmbedder(model_folder, threads=1)._runtime, OnnxRuntime)


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is an optional extra.")
def test_bfloat16_vectors_are_the_same_vectors(model_folder: Path, embedder: LocalEmbedder) -> None:
    """Cosine to the exact vector is at least 0.9999, so both may fill one table."""
    texts = ["short", "a sentence about invoices and their due dates", "word " * 250, "한국어 😀", ""] * 4
    fast = LocalEmbedder(model_folder, threads=2, runtime="openvino")
    cosines = (fast.embed(texts) * embedder.embed(texts)).sum(axis=1)
    assert cosines.min() >= (0.9999 if is_worthwhile() else 0.999)
    assert np.allclose(np.linalg.norm(fast.embed(texts), axis=1), 1.0, atol=1e-3)

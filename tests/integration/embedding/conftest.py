"""The real model, its graph built once for all tests of the session."""

from pathlib import Path

import pytest

from pipelines.embedding.local import LocalEmbedder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


@pytest.fixture(scope="session")
def embedder(model_folder: Path) -> LocalEmbedder:
    return LocalEmbedder(model_folder, threads=2, runtime="onnxruntime")

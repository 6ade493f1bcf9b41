"""The encoder's graph as a file: built once from checked weights, and vouched for at every start."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import EmbeddingFailed
from core.log import get_logger
from pipelines.embedding.weights import ModelFiles, check_sha256, sha256_of

# Part of the file's name: raise it when onnx_graph.py changes what it builds.
_GRAPH_VERSION = 1


def ensure_graph(folder: Path, files: ModelFiles) -> Path:
    """Return the path of a graph made from exactly the pinned weights, building it where there is none.

    Safe when several processes start at once: one builds, the others wait for it. Bytes are hashed only when a
    file's size or time of change differs from when it was last hashed. Raises ModelUnavailable, EmbeddingFailed.
    """
    graph = folder / f"minilm-l6-v2-{files.weights_sha256[:12]}-v{_GRAPH_VERSION}.onnx"
    record = graph.with_suffix(".verified.json")
    if _vouched(graph, record, files):
        return graph
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(graph.with_suffix(".lock")):
            if not _vouched(graph, record, files):
                check_sha256(files.weights, files.weights_sha256)
                digest = _expected_digest(record)
                if digest is None or not graph.exists() or sha256_of(graph) != digest:
                    digest = _build(graph, files.weights)
                _replace(record, json.dumps(_statement(graph, files, digest)).encode())
    except OSError as error:
        raise EmbeddingFailed(f"The model folder cannot be written: {error.strerror}") from error
    return graph


def _statement(graph: Path, files: ModelFiles, digest: str) -> dict[str, Any]:
    return {"weights": [files.weights_sha256, *_identity(files.weights)], "graph": [digest, *_identity(graph)]}


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _vouched(graph: Path, record: Path, files: ModelFiles) -> bool:
    digest = _expected_digest(record)
    try:
        return digest is not None and json.loads(record.read_bytes()) == _statement(graph, files, digest)
    except (OSError, ValueError):
        return False


def _expected_digest(record: Path) -> str | None:
    try:
        return str(json.loads(record.read_bytes())["graph"][0])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _build(graph: Path, weights: Path) -> str:
    # onnx is needed for this alone, once in the life of a data folder.
    from pipelines.embedding.onnx_graph import build_encoder
    from pipelines.embedding.safetensors import read_tensors

    content = build_encoder(read_tensors(weights)).SerializeToString()
    _replace(graph, content)
    get_logger().info("embedding.graph_built", bytes=len(content))
    return hashlib.sha256(content).hexdigest()


def _replace(path: Path, content: bytes) -> None:
    """Write all of the file or none of it, whoever else reads or dies meanwhile."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    # The kernel lets go of the lock when its holder dies, so a crash in mid-build blocks nobody.
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

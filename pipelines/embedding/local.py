"""The default embedder: all-MiniLM-L6-v2 on this machine's CPU, with no torch and no network."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np

from core.errors import EmbeddingFailed
from pipelines.embedding.base import Vectors
from pipelines.embedding.batching import length_batches, padded
from pipelines.embedding.graph_file import ensure_graph
from pipelines.embedding.runtime import OnnxRuntime, Runtime
from pipelines.embedding.tokenizer import WordPieceTokenizer
from pipelines.embedding.weights import ModelFiles, check_sha256, find_model

RuntimeName = Literal["auto", "onnxruntime", "openvino"]


class LocalEmbedder:
    """Texts above `max_tokens` are cut to it, as the model itself would; chunkers never make one."""

    space = "minilm-l6-v2"
    dimensions = 384
    max_tokens = WordPieceTokenizer.max_tokens
    languages: frozenset[str] | None = frozenset({"en"})

    def __init__(
        self,
        model_folder: Path,
        *,
        threads: int,
        runtime: RuntimeName = "auto",
        files: ModelFiles | None = None,
    ) -> None:
        """Check the model's files against their pinned hashes and load them; the first start builds the graph.

        `threads` bounds the batches one call runs side by side. Raises ModelUnavailable, EmbeddingFailed.
        """
        files = files or find_model()
        check_sha256(files.tokenizer, files.tokenizer_sha256)
        self._tokenizer = WordPieceTokenizer(files.tokenizer)
        self._runtime = _open_runtime(runtime, ensure_graph(model_folder, files), threads)
        self._batches = ThreadPoolExecutor(threads, thread_name_prefix="embed")

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the (start, end) character offsets of each content token of `text`, in order."""
        return self._tokenizer.token_spans(text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return float32 of shape (len(texts), 384), rows L2-normalised, in the order of `texts`."""
        windows = self._tokenizer.windows(texts)
        batches = length_batches([len(window) for window in windows])
        vectors = np.empty((len(texts), self.dimensions), np.float32)

        def run(batch: list[int]) -> None:
            vectors[batch] = self._runtime.run(*padded([windows[index] for index in batch]))

        try:
            # A query is one batch: it stays in its thread and never queues behind an ingestion's batches.
            list(map(run, batches) if len(batches) == 1 else self._batches.map(run, batches))
        except Exception as error:
            raise EmbeddingFailed("The local embedding model failed to run") from error
        if not np.isfinite(vectors).all():
            raise EmbeddingFailed("The local embedding model returned a vector that is not finite")
        return vectors


def _open_runtime(name: RuntimeName, graph: Path, threads: int) -> Runtime:
    try:
        if name != "onnxruntime":
            from pipelines.embedding.openvino_runtime import OpenVinoRuntime, is_worthwhile

            if name == "openvino" or is_worthwhile():
                return OpenVinoRuntime(graph, threads=threads)
        return OnnxRuntime(graph)
    except Exception as error:
        raise EmbeddingFailed("The local embedding model could not be loaded") from error

"""The model every peer embeds with: the very weights and runtime of ours, in the batches that are usual.

Batches of 32 texts of like length and one call over all threads is how sentence-transformers goes about it. Its torch
is not used: the registry's build does not load without the CUDA libraries, which are gigabytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

WINDOW_TOKENS = 256
BATCH_TEXTS = 32


class Encoder:
    def __init__(self, graph: Path, tokenizer: Path, *, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(WINDOW_TOKENS)
        self._tokenizer.enable_padding()

    def embed(self, texts: Sequence[str]) -> Any:
        """Return float32 of shape (len(texts), 384), rows L2-normalised, in the order of `texts`."""
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        vectors = np.empty((len(texts), 384), np.float32)
        for start in range(0, len(order), BATCH_TEXTS):
            batch = order[start : start + BATCH_TEXTS]
            rows = self._tokenizer.encode_batch([texts[index] for index in batch])
            inputs = {
                "input_ids": np.array([row.ids for row in rows], np.int64),
                "attention_mask": np.array([row.attention_mask for row in rows], np.int64),
            }
            vectors[batch] = self._session.run(None, inputs)[0]
        return vectors

"""What every peer does around its own few lines: read the chunks, warm up, take the time, print the figures.

    python -m benchmarks.peers.<peer> CHUNKS.jsonl GRAPH.onnx TOKENIZER.json VECTORS.npy

VECTORS.npy receives what the finished index holds for the chunks at `sampled`, so that the caller can compare.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.peers.encoder import Encoder
from benchmarks.peers.sample import sampled


class Index(Protocol):
    def add(self, texts: Sequence[str]) -> None:
        """Embed these texts and index them, so that they are on disk and found afterwards."""

    def vectors(self, positions: Sequence[int]) -> Any:
        """Return the stored vectors of the texts at these positions."""


def perform(open_index: Callable[[Encoder, Path], Index]) -> None:
    arguments = argparse.ArgumentParser()
    for name in ("chunks", "graph", "tokenizer", "vectors"):
        arguments.add_argument(name, type=Path)
    arguments.add_argument("--threads", type=int, default=2)
    given = arguments.parse_args()
    with given.chunks.open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    encoder = Encoder(given.graph, given.tokenizer, threads=given.threads)
    encoder.embed(texts[:32])
    with tempfile.TemporaryDirectory() as folder:
        index = open_index(encoder, Path(folder))
        began = time.perf_counter()
        index.add(texts)
        seconds = time.perf_counter() - began
        np.save(given.vectors, np.asarray(index.vectors(sampled(len(texts))), np.float32))
    print(json.dumps({"chunks": len(texts), "seconds": seconds, "chunks_per_second": len(texts) / seconds}))

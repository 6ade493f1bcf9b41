"""chromadb, its persistent client in process."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Installed in the peers' environment only.
import chromadb  # type: ignore[import-not-found]
from chromadb.config import Settings  # type: ignore[import-not-found]

from benchmarks.peers.encoder import Encoder
from benchmarks.peers.task import perform

_ADD_AT_ONCE = 1_000  # chromadb refuses more than about 5,000


class ChromaIndex:
    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self._encoder = encoder
        client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
        # Without a function of its own it would fetch a model when the first text arrives.
        self._collection = client.create_collection("chunks", embedding_function=None)

    def add(self, texts: Sequence[str]) -> None:
        for start in range(0, len(texts), _ADD_AT_ONCE):
            part = list(texts[start : start + _ADD_AT_ONCE])
            ids = [str(start + offset) for offset in range(len(part))]
            self._collection.add(ids=ids, documents=part, embeddings=self._encoder.embed(part))

    def vectors(self, positions: Sequence[int]) -> Any:
        return [self._collection.get(ids=[str(at)], include=["embeddings"])["embeddings"][0] for at in positions]


if __name__ == "__main__":
    perform(ChromaIndex)

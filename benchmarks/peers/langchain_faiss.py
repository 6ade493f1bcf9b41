"""LangChain over FAISS, in process, saved to disk at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Installed in the peers' environment only.
from langchain_community.vectorstores import FAISS  # type: ignore[import-not-found]
from langchain_core.embeddings import Embeddings  # type: ignore[import-not-found]

from benchmarks.peers.encoder import Encoder
from benchmarks.peers.task import perform


class EncoderEmbeddings(Embeddings):  # type: ignore[misc]  # its types are in the peers' environment only
    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._encoder.embed(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class FaissIndex:
    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self._embeddings, self._folder = EncoderEmbeddings(encoder), folder

    def add(self, texts: Sequence[str]) -> None:
        self._store = FAISS.from_texts(list(texts), self._embeddings)
        self._store.save_local(str(self._folder))

    def vectors(self, positions: Sequence[int]) -> Any:
        return [self._store.index.reconstruct(position) for position in positions]


if __name__ == "__main__":
    perform(FaissIndex)

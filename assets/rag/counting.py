"""What the embeddings asset puts around the embedder and its cache, to count and to compute everything anew."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from core.ids import DocumentId
from pipelines.embedding.base import Embedder, Vectors
from pipelines.embedding.cache import Use, VectorCache


class CountingEmbedder:
    """An embedder that knows how many texts it embedded."""

    def __init__(self, embedder: Embedder) -> None:
        self.space, self.dimensions, self.max_tokens = embedder.space, embedder.dimensions, embedder.max_tokens
        self.languages = embedder.languages
        self.texts = 0
        self._embedder = embedder

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        return self._embedder.token_spans(text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts += len(texts)
        return self._embedder.embed(texts)


class WriteOnlyCache:
    """A cache that knows nothing and learns everything: what is computed anew is remembered for the next run."""

    def __init__(self, cache: VectorCache) -> None:
        self._cache = cache

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        return {}

    def put_many(self, vectors: Mapping[bytes, NDArray[np.float32]], uses: Iterable[Use] = ()) -> None:
        self._cache.put_many(vectors, uses)

    def forget(self, document_ids: Sequence[DocumentId]) -> None:
        self._cache.forget(document_ids)

    def documents(self) -> set[DocumentId]:
        return self._cache.documents()

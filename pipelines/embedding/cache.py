"""The same content is embedded once: vectors kept by a hash of tenant, space and text until their documents go."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.ids import DocumentId, TenantId
from core.log import may_fail
from pipelines.embedding.base import Embedder, Vectors
from pipelines.embedding.cache_sqlite import SqliteVectorCache, Use

__all__ = [
    "CachedEmbedder",
    "MemoryVectorCache",
    "SqliteVectorCache",
    "Use",
    "VectorCache",
    "content_key",
    "embed_reusing",
]

Vector = NDArray[np.float32]
_LENGTH_TOLERANCE = 1e-3


class VectorCache(Protocol):
    """Holds vectors for as long as it pleases: whoever asks can always compute. Safe from several threads."""

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, Vector]:
        """Return the vectors that are known, by key."""

    def put_many(self, vectors: Mapping[bytes, Vector], uses: Iterable[Use] = ()) -> None:
        """Remember these vectors, perhaps at the price of older ones, and which documents use which keys."""

    def forget(self, document_ids: Sequence[DocumentId]) -> None:
        """Forget every vector that these documents have used and no other does: it would tell of an erased text."""

    def documents(self) -> set[DocumentId]:
        """Return the documents of which something is remembered."""


def content_key(tenant_id: TenantId, space: str, text: str) -> bytes:
    """Return the SHA-256 of the three, each length-prefixed.

    The tenant is part of it: a shared entry would answer faster for text that someone else has stored, and so tell
    one tenant what another has.
    """
    digest = hashlib.sha256()
    for part in (tenant_id, space, text):
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.digest()


def embed_reusing(
    embedder: Embedder,
    cache: VectorCache,
    tenant_id: TenantId,
    texts: Sequence[str],
    documents: Sequence[DocumentId] = (),
) -> Vectors:
    """Return what `embedder.embed(texts)` would, computing only what this tenant has not embedded before.

    `documents` says whose each text is; without it the texts are questions, which belong to no document.
    A cache that fails costs time and nothing else. Raises EmbeddingFailed.
    """
    keys = [content_key(tenant_id, embedder.space, text) for text in texts]
    known: dict[bytes, Vector] = {}
    with may_fail("reading the vector cache"):
        known = {key: vector for key, vector in cache.get_many(keys).items() if _is_sound(vector, embedder)}
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    computed = dict(zip(missing, embedder.embed(list(missing.values())), strict=True)) if missing else {}
    if computed or documents:
        sound = {key: vector for key, vector in computed.items() if _is_sound(vector, embedder)}
        uses = set(zip(documents, keys, strict=True)) if documents else ()
        with may_fail("writing the vector cache"):  # both or neither: a vector that is nobody's would outlive its text
            cache.put_many(sound, uses)
    known.update(computed)
    vectors = np.empty((len(keys), embedder.dimensions), np.float32)
    for row, key in enumerate(keys):
        vectors[row] = known[key]
    return vectors


def _is_sound(vector: Vector, embedder: Embedder) -> bool:
    # What a broken embedder made must not be remembered: whoever repairs it would get the same again.
    return vector.shape == (embedder.dimensions,) and abs(float(np.linalg.norm(vector)) - 1) < _LENGTH_TOLERANCE


class MemoryVectorCache:
    """The most recently used vectors, in this process: for queries, and the twin for tests."""

    def __init__(self, *, max_vectors: int = 4_096) -> None:
        self._max_vectors = max_vectors
        self._vectors: OrderedDict[bytes, Vector] = OrderedDict()
        self._users: dict[bytes, set[DocumentId]] = {}
        self._lock = Lock()

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, Vector]:
        with self._lock:
            known = {key: self._vectors[key] for key in keys if key in self._vectors}
            for key in known:
                self._vectors.move_to_end(key)
            return known

    def put_many(self, vectors: Mapping[bytes, Vector], uses: Iterable[Use] = ()) -> None:
        with self._lock:
            for document_id, key in uses:
                self._users.setdefault(key, set()).add(document_id)
            for key, vector in vectors.items():
                # A copy: a row of a batch would keep the whole batch alive.
                self._vectors[key] = vector.copy()
                self._vectors.move_to_end(key)
            while len(self._vectors) > self._max_vectors:
                self._users.pop(self._vectors.popitem(last=False)[0], None)

    def forget(self, document_ids: Sequence[DocumentId]) -> None:
        with self._lock:
            for key, users in list(self._users.items()):
                users.difference_update(document_ids)
                if not users:
                    del self._users[key]
                    self._vectors.pop(key, None)

    def documents(self) -> set[DocumentId]:
        with self._lock:
            return set().union(*self._users.values())


class CachedEmbedder:
    """An embedder for one tenant that remembers; cheap to make, so make one a request."""

    def __init__(self, embedder: Embedder, cache: VectorCache, tenant_id: TenantId) -> None:
        self.space = embedder.space
        self.dimensions = embedder.dimensions
        self.max_tokens = embedder.max_tokens
        self.languages = embedder.languages
        self._embedder = embedder
        self._cache = cache
        self._tenant_id = tenant_id

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        return self._embedder.token_spans(text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        return embed_reusing(self._embedder, self._cache, self._tenant_id, texts)

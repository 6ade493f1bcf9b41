"""The twin of the embedder for tests: texts that share words get like vectors, with no model and no waiting."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from pipelines.embedding.base import Vectors

_TOKEN = re.compile(r"\w+|[^\w\s]")


class HashEmbedder:
    """Feature hashing: each word adds or subtracts one in the place its hash names. Deterministic everywhere."""

    def __init__(self, *, dimensions: int = 384, max_tokens: int = 254) -> None:
        self.space = f"hashed-{dimensions}"
        self.dimensions = dimensions
        self.max_tokens = max_tokens
        self.languages: frozenset[str] | None = None  # the same words make the same vector in any

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in _TOKEN.finditer(text)]

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for word in _TOKEN.findall(text.lower())[: self.max_tokens]:
                digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
                number = int.from_bytes(digest, "big")
                vectors[row, number % self.dimensions] += 1.0 if number >> 63 else -1.0
            if not vectors[row].any():
                vectors[row, 0] = 1.0
        normalised: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return normalised

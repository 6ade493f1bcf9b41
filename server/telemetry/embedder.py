"""An embedder that tells how long it works."""

from collections.abc import Sequence

from pipelines.embedding.base import Embedder, Vectors
from server.telemetry import metrics


class TimedEmbedder:
    """The embedder it is made with, in all but its counted seconds."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.space = embedder.space
        self.dimensions = embedder.dimensions
        self.max_tokens = embedder.max_tokens
        self.languages = embedder.languages

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        return self._embedder.token_spans(text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        with metrics.EMBEDDER_SECONDS.time():
            return self._embedder.embed(texts)

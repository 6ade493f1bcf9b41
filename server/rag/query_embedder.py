"""The embedder of this process: loaded in the background, so that the door opens at once."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from core.errors import ServiceUnavailable
from core.log import get_logger
from pipelines.embedding.base import Embedder, Vectors

log = get_logger()

# The model is warm when it has run once: the first call pays for allocations and thread starts.
_WARM_UP_TEXT = "warm up"


class QueryEmbedder:
    """Opens once; if that fails, the next one who needs it starts another try."""

    def __init__(self, open_embedder: Callable[[], Embedder]) -> None:
        self._open_embedder = open_embedder
        self._opening: asyncio.Task[Embedder] | None = None

    def start(self) -> None:
        """Begin to load the model, unless that is under way or done."""
        failed = self._opening is not None and self._opening.done() and self._opening.exception() is not None
        if self._opening is None or failed:
            self._opening = asyncio.create_task(asyncio.to_thread(self._open))

    def _open(self) -> Embedder:
        try:
            embedder = self._open_embedder()
            embedder.embed([_WARM_UP_TEXT])
        except Exception:
            log.exception("embedder.unavailable")
            raise
        return embedder

    @property
    def state(self) -> Literal["ok", "starting", "down"]:
        if self._opening is None or not self._opening.done():
            return "starting"
        return "down" if self._opening.exception() is not None else "ok"

    async def ready(self) -> Embedder:
        """Return the embedder, waiting while it is loaded. Raises ServiceUnavailable if it cannot be."""
        self.start()
        assert self._opening is not None
        try:
            return await asyncio.shield(self._opening)  # one caller's end is not the end of loading
        except Exception:
            raise ServiceUnavailable("The embedding model is not available.") from None


class UnaskedEmbedder:
    """Stands in where nothing is to be embedded: words are found, and chunks listed, while the model is away."""

    max_tokens = 0
    languages: frozenset[str] | None = None

    def __init__(self, *, space: str, dimensions: int) -> None:
        self.space = space
        self.dimensions = dimensions

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        raise ServiceUnavailable("The embedding model is not available.")

    def embed(self, texts: Sequence[str]) -> Vectors:
        raise ServiceUnavailable("The embedding model is not available.")

"""Read the best candidates again with something slower and better; without it, in time, the fused order stands."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import CodexError
from core.log import get_logger
from pipelines.embedding.base import Embedder

log = get_logger()

Relevance = NDArray[np.float32]

# Two at a time: what does not come back in time keeps its thread, and must not take those that others need.
_THREADS = 2


class RerankFailed(CodexError):
    """The reranker gave no scores. Queries never end with it: they are answered in the fused order."""


class Reranker(Protocol):
    name: str

    weight: float
    """Its share in the final score, 0..1; the rest is the fused score's."""

    most_texts: int
    """How many of the best candidates it is worth to read."""

    def score(self, query: str, texts: Sequence[str]) -> Relevance:
        """Return float32 of shape (len(texts),), in 0..1, more for what answers the query better.

        Blocking, safe to call from several threads. Raises RerankFailed.
        """


class Fallback(StrEnum):
    """Why nothing was reranked."""

    NOT_CONFIGURED = "not_configured"
    TIMED_OUT = "timed_out"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranking:
    """A reranker, the time it is given, and the threads in which it takes it."""

    reranker: Reranker
    timeout_seconds: float
    threads: ThreadPoolExecutor

    async def scores(self, query: str, texts: Sequence[str]) -> Relevance | Fallback:
        """Return a score for each text, or why there is none."""
        reading = asyncio.get_running_loop().run_in_executor(self.threads, self.reranker.score, query, texts)
        try:
            scores = await asyncio.wait_for(reading, self.timeout_seconds)
        except TimeoutError:
            log.warning("rerank.timed_out", reranker=self.reranker.name, seconds=self.timeout_seconds)
            return Fallback.TIMED_OUT
        except Exception as error:
            log.warning("rerank.failed", reranker=self.reranker.name, error=repr(error))
            return Fallback.FAILED
        if scores.shape != (len(texts),) or not np.isfinite(scores).all():
            log.warning("rerank.failed", reranker=self.reranker.name, error="not one finite score a text")
            return Fallback.FAILED
        return np.clip(scores, 0.0, 1.0)


class Rerankings:
    """Which reranker reads for an index: one for all of them, or one each that asks the index's own embedder."""

    def __init__(self, make: Callable[[Embedder], Reranker] | None, *, timeout_seconds: float) -> None:
        self._make = make
        self._timeout_seconds = timeout_seconds
        self._threads = ThreadPoolExecutor(_THREADS, "rerank")
        self._made: dict[str, Reranking] = {}

    def of(self, embedder: Embedder) -> Reranking | None:
        """Return what reranks in the embedder's space; None where nothing is configured."""
        if self._make is None:
            return None
        if embedder.space not in self._made:
            self._made[embedder.space] = Reranking(
                reranker=self._make(embedder), timeout_seconds=self._timeout_seconds, threads=self._threads
            )
        return self._made[embedder.space]

"""The embedders of one process: each opened when first asked for, and kept, so that two can serve during a swap."""

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock

from pipelines.embedding import is_embedder, open_embedder
from pipelines.embedding.base import Embedder, EndpointSettings

Around = Callable[[Embedder], Embedder]


class EmbedderCatalogue:
    """`configured` is the name of the embedder that a tenant's first index is made with."""

    def __init__(
        self,
        configured: str,
        *,
        model_folder: Path,
        threads: int,
        endpoints: Mapping[str, EndpointSettings] | None = None,
        around: Around | None = None,
    ) -> None:
        self.configured = configured
        self._model_folder = model_folder
        self._threads = threads
        self._endpoints = dict(endpoints or {})
        self._around = around
        self._opened: dict[str, Embedder] = {}
        self._locks: dict[str, Lock] = {}
        self._lock = Lock()

    @classmethod
    def holding(cls, configured: str, embedder: Embedder) -> "EmbedderCatalogue":
        """Return one whose configured embedder has been opened already."""
        catalogue = cls(configured, model_folder=Path("unused"), threads=1)
        catalogue._opened[configured] = embedder
        return catalogue

    def knows(self, name: str) -> bool:
        return is_embedder(name, self._endpoints)

    def open(self, name: str) -> Embedder:
        """Return the embedder of this name. Blocks while it loads; raises as `open_embedder` does."""
        with self._lock:
            lock = self._locks.setdefault(name, Lock())
        with lock:  # one model is loaded once, and another does not wait for it
            if name not in self._opened:
                embedder = open_embedder(
                    name, model_folder=self._model_folder, threads=self._threads, endpoints=self._endpoints
                )
                self._opened[name] = embedder if self._around is None else self._around(embedder)
            return self._opened[name]

"""The model loads beside the event loop; who needs it early waits, and a failure is not for ever."""

import threading
from collections.abc import Callable

import pytest

from core.errors import ServiceUnavailable
from pipelines.embedding.base import Embedder
from pipelines.embedding.hashed import HashEmbedder
from server.rag.query_embedder import QueryEmbedder


async def test_starting_until_the_model_has_run() -> None:
    """The state tells when; waiting callers all get the same model."""
    may_load = threading.Event()

    def load() -> Embedder:
        may_load.wait()
        return HashEmbedder()

    embedder = QueryEmbedder(load)
    embedder.start()
    assert embedder.state == "starting"
    may_load.set()
    assert await embedder.ready() is await embedder.ready()
    assert embedder.state == "ok"


async def test_a_model_that_cannot_load_is_tried_again() -> None:
    """The first caller is told to come back; after that it may have been mended."""
    loads: list[Callable[[], Embedder]] = [HashEmbedder]

    def load() -> Embedder:
        if loads:
            loads.pop()
            raise OSError("the disk hiccups")
        return HashEmbedder()

    embedder = QueryEmbedder(load)
    with pytest.raises(ServiceUnavailable):
        await embedder.ready()
    assert embedder.state == "down"
    assert (await embedder.ready()).dimensions > 0

"""An endpoint that takes webhooks as fast as they come, and keeps what it was told."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.webhook_receiver import Conversation, Receiver, Told

__all__ = ["Receiver", "Told", "receiving"]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Serve on a thread of its own, for as long as the block lasts."""
    receiver, loop = Receiver(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        serving = loop.create_server(lambda: Conversation(receiver), "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(serving, loop).result(10)
        receiver.port = server.sockets[0].getsockname()[1]
        yield receiver
        loop.call_soon_threadsafe(server.close)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()

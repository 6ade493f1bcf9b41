"""One script of Redis, called over one connection: for what stands in the way of every request.

The client's own way leads through a pool, a retry, streams and a deadline for each read and write, and costs several
times what Redis takes to answer. Here a call is one write, one answer and one deadline. The client still connects:
addresses, passwords and TLS are its business.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

_NOT_KNOWN = "NOSCRIPT"


class ScriptLine(asyncio.Protocol):
    """Calls are made one at a time, and the script answers with a string. Connects when it is first called, and again
    after the connection was lost. It ends with the client that it was made of."""

    def __init__(self, redis: Redis, script: str) -> None:
        self._pool: Any = redis.connection_pool  # the client has no types for it
        self._script = script
        self._digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        self._connection: Any = None
        self._transport: asyncio.WriteTransport | None = None
        self._streams: Any = None
        self._received = bytearray()
        self._answer: asyncio.Future[str] | None = None

    async def call(self, keys: Sequence[str], argument: str) -> str:
        """Return what the script says. Raises RedisError, OSError or TimeoutError."""
        given = (str(len(keys)), *keys, argument)
        try:
            return await self._ask("EVALSHA", self._digest, *given)
        except ResponseError as error:
            if not str(error).startswith(_NOT_KNOWN):
                raise
            return await self._ask("EVAL", self._script, *given)  # it is known from now on

    async def _ask(self, *words: str) -> str:
        transport = self._transport or await self._connected()
        loop = asyncio.get_running_loop()
        answer = self._answer = loop.create_future()
        deadline = loop.call_later(self._connection.socket_timeout, self._fail, RedisTimeoutError("no answer"))
        try:
            transport.write(command(*words))
            said: str = await answer
            return said
        finally:
            deadline.cancel()
            if self._answer is answer:
                self._fail(RedisConnectionError("given up"))  # the answer would be taken for the next one's

    async def _connected(self) -> asyncio.WriteTransport:
        if self._connection is not None:
            lost, self._connection = self._connection, None
            await lost.disconnect()
            await self._pool.release(lost)
        self._connection = await self._pool.get_connection()
        # No public way leads to it; tests/integration/stores/test_gcra.py tells when a new version goes another.
        transport = cast(asyncio.WriteTransport, self._connection._writer.transport)
        self._streams = transport.get_protocol()
        transport.set_protocol(self)
        self._received.clear()
        self._transport = transport
        return transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            said = complete_answer(self._received)
        except ValueError as error:
            self._fail(RedisConnectionError(str(error)))
            return
        if said is None or self._answer is None:
            return
        self._received.clear()
        answer, self._answer = self._answer, None
        if answer.done():
            return
        if isinstance(said, ResponseError):
            answer.set_exception(said)
        else:
            answer.set_result(said)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or RedisConnectionError("the connection was closed"))
        if self._streams is not None:  # the client waits for this when it disconnects
            self._streams.connection_lost(error)

    def pause_writing(self) -> None:
        """One command at a time is on its way: nothing piles up."""

    def _fail(self, error: Exception) -> None:
        answer, self._answer = self._answer, None
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        if answer is not None and not answer.done():
            answer.set_exception(error)


def command(*words: str) -> bytes:
    """Return the words as Redis reads them (RESP, an array of bulk strings)."""
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


def complete_answer(received: bytes | bytearray) -> str | ResponseError | None:
    """Return the string or the error that was received, None while some is to come. Raises ValueError for others."""
    end = received.find(b"\r\n")
    if end < 0:
        return None
    kind, rest = received[:1], bytes(received[1:end])
    if kind == b"-":
        return ResponseError(rest.decode(errors="replace"))
    if kind != b"$" or not rest.isdigit():
        raise ValueError("Redis answered with something else than a string")
    begin, length = end + 2, int(rest)
    if len(received) < begin + length + 2:
        return None
    return received[begin : begin + length].decode()

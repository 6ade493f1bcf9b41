"""What is said to Redis and what it answers, byte by byte, and what becomes of answers that come too late."""

import asyncio
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from stores.redis_script import ScriptLine, command, complete_answer


def test_words_are_told_with_their_lengths_in_bytes() -> None:
    """So that a key may hold anything, a line break too."""
    assert command("EVAL", "ü\r\n") == b"*2\r\n$4\r\nEVAL\r\n$4\r\n\xc3\xbc\r\n\r\n"


def test_an_answer_is_read_once_all_of_it_has_come() -> None:
    """However it was cut on its way."""
    whole = b"$5\r\n1\r\n23\r\n"
    assert [complete_answer(whole[:length]) for length in range(len(whole))] == [None] * len(whole)
    assert complete_answer(whole) == "1\r\n23"
    refused = complete_answer(b"-NOSCRIPT No matching script.\r\n")
    assert isinstance(refused, ResponseError)
    assert str(refused).startswith("NOSCRIPT")


@pytest.mark.parametrize("other", [b":1\r\n", b"$-1\r\n", b">2\r\n", b"+OK\r\n"])
def test_another_answer_than_a_string_is_refused(other: bytes) -> None:
    """It is nothing that our scripts say, so whoever says it is not answering them."""
    with pytest.raises(ValueError, match="something else"):
        complete_answer(other)


class Transport:
    """Keeps what is written. A protocol that takes it over is told what comes."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False

    def get_protocol(self) -> None:
        return None

    def set_protocol(self, _protocol: asyncio.BaseProtocol) -> None:
        return None

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.aborted = True


class Connection:
    """A client's connection, as far as it is looked into; also the pool that hands out new ones."""

    socket_timeout = 0.02

    def __init__(self, made: list[Transport]) -> None:
        self._made = made
        self._writer: Any = None

    async def get_connection(self) -> "Connection":
        fresh = Connection(self._made)
        fresh._writer = type("Writer", (), {"transport": Transport()})()
        self._made.append(fresh._writer.transport)
        return fresh

    async def disconnect(self) -> None:
        return None

    async def release(self, _connection: "Connection") -> None:
        return None


async def test_an_answer_that_is_late_is_not_taken_for_the_next_ones() -> None:
    """Its connection is given up with it, and the next call has another."""
    made: list[Transport] = []
    client = cast("Redis", type("Client", (), {"connection_pool": Connection(made)})())
    line = ScriptLine(client, "return '1'")
    with pytest.raises(RedisTimeoutError):
        await line.call(["k"], "1")
    line.data_received(b"$4\r\nlate\r\n")
    call = asyncio.create_task(line.call(["k"], "2"))
    async with asyncio.timeout(10):
        while len(made) < 2 or not made[1].written:
            await asyncio.sleep(0)
    line.data_received(b"$2\r\nok\r\n")
    assert await call == "ok"
    assert (made[0].aborted, made[1].aborted) == (True, False)

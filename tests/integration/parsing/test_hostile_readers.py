"""The jail holds whatever a parser turns into: the file fails with its reason, the next ones are read all the same."""

import asyncio
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from core.errors import DocumentTooLarge, DocumentUnreadable, IngestFailed, ParsingTimedOut
from pipelines.document import SourceFile
from pipelines.parsing.jail import JailedParser
from tests.fakes.hostile_reader import DEEDS

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIMEOUT_SECONDS = 2.0
MEMORY_BYTES = 256 * 1024 * 1024
# The child's alarm, the parent's grace of two seconds and two forks, on a machine that has other things to do; and
# less than the ten seconds the parent waits for a child's greeting, which nothing here may need.
PATIENCE_SECONDS = TIMEOUT_SECONDS + 7

EXPECTED: dict[str, type[IngestFailed]] = {
    "sleep": ParsingTimedOut,
    "sleep-deaf-to-alarms": ParsingTimedOut,
    "loop-in-c": ParsingTimedOut,
    "loop-in-python": ParsingTimedOut,
    "allocate": DocumentTooLarge,
    "recurse": DocumentUnreadable,
    "exit": DocumentUnreadable,
    "crash": DocumentUnreadable,
    "answer-in-rubbish": DocumentUnreadable,
    "answer-in-the-wrong-shape": DocumentUnreadable,
    "answer-without-end": DocumentUnreadable,
    "hang-up": DocumentUnreadable,
    "connect": DocumentUnreadable,
    "resolve": DocumentUnreadable,
    "spawn": DocumentUnreadable,
    "fork": DocumentUnreadable,
    "write": DocumentUnreadable,
    "read-passwords": DocumentUnreadable,
    "read-environment-of-parent": DocumentUnreadable,
    "kill-parent": DocumentUnreadable,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def jail() -> AsyncIterator[JailedParser]:
    parser = JailedParser(
        timeout_seconds=TIMEOUT_SECONDS, memory_bytes=MEMORY_BYTES, reader="tests.fakes.hostile_reader"
    )
    await parser.warm()
    yield parser
    await parser.close()


def letter(text: str) -> SourceFile:
    return SourceFile(name="letter", content=text.encode())


def hostile(deed: str) -> SourceFile:
    return SourceFile(name=deed, content=b"anything")


async def running(jail: JailedParser) -> int:
    """Return the process id of the jail, started if need be."""
    await jail.warm()
    assert jail._zygote is not None
    return jail._zygote.pid


async def test_every_deed_has_an_expectation() -> None:
    """A deed that nobody asks for would prove nothing."""
    assert EXPECTED.keys() == DEEDS.keys()


@pytest.mark.parametrize("deed", EXPECTED)
async def test_deed_costs_only_its_own_file(jail: JailedParser, deed: str) -> None:
    """The file gets its typed failure in bounded time; those before and after it in the batch are read."""
    began = time.monotonic()
    before, failed, after, last = await jail.parse([letter("before"), hostile(deed), letter("after"), letter("last")])
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert type(failed.failure) is EXPECTED[deed], failed
    assert failed.elements == ()
    assert [parsed.elements[0].text for parsed in (before, after, last)] == ["before", "after", "last"]


async def test_nothing_was_written(jail: JailedParser) -> None:
    """The file that the hostile reader tries to leave behind is not there."""
    await jail.parse([hostile("write")])
    assert not Path("/var/tmp/hostile-reader-was-here").exists()


async def test_batch_of_nothing_but_trouble(jail: JailedParser) -> None:
    """One outcome a file, in order, even when every file kills its child."""
    deeds = ["exit", "crash", "exit", "allocate", "answer-in-rubbish", "exit"]
    outcomes = await jail.parse([hostile(deed) for deed in deeds])
    assert [type(outcome.failure) for outcome in outcomes] == [EXPECTED[deed] for deed in deeds]


async def test_other_batches_go_on_beside_a_hanging_one(jail: JailedParser) -> None:
    """A batch that hangs holds its own place only."""
    hanging = asyncio.create_task(jail.parse([hostile("sleep-deaf-to-alarms")]))
    outcomes = [await jail.parse([letter(str(number))]) for number in range(3)]
    assert not hanging.done()
    assert [outcome[0].elements[0].text for outcome in outcomes] == ["0", "1", "2"]
    assert type((await hanging)[0].failure) is ParsingTimedOut


async def test_next_parse_survives_the_death_of_the_jail(jail: JailedParser) -> None:
    """kill -9 of the process that forks the children: the next batch starts a new one and is read."""
    killed = await running(jail)
    os.kill(killed, signal.SIGKILL)
    (outcome,) = await jail.parse([letter("after the funeral")])
    assert outcome.elements[0].text == "after the funeral"
    assert await running(jail) != killed


async def test_death_of_the_jail_beside_running_batches(jail: JailedParser) -> None:
    """Batches that meet a dead jail at the same time are all read by the new one."""
    os.kill(await running(jail), signal.SIGKILL)
    began = time.monotonic()
    outcomes = await asyncio.gather(*(jail.parse([letter(str(number))]) for number in range(6)))
    assert [outcome[0].elements[0].text for outcome in outcomes] == [str(number) for number in range(6)]
    assert time.monotonic() - began < PATIENCE_SECONDS


async def test_memory_of_the_child_is_not_ours() -> None:
    """After children that took all they were allowed, this process's peak is where it was."""
    unit = 1 if sys.platform == "darwin" else 1024
    # On a busy machine the time that the other tests allow would end the children before they have taken it all.
    jail = JailedParser(timeout_seconds=60, memory_bytes=MEMORY_BYTES, reader="tests.fakes.hostile_reader")
    await jail.warm()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    try:
        outcomes = await jail.parse([hostile("allocate")] * 3)
    finally:
        await jail.close()
    assert all(type(outcome.failure) is DocumentTooLarge for outcome in outcomes)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before < MEMORY_BYTES / 4


async def test_children_do_not_outlive_their_batch(jail: JailedParser) -> None:
    """No child is left, not even one that ignores its alarm, and no descriptor of ours stays open."""
    before = len(os.listdir("/dev/fd"))
    await jail.parse([hostile("sleep-deaf-to-alarms"), *[hostile("exit"), letter("fine")] * 5])
    async with asyncio.timeout(10):
        while len(os.listdir("/dev/fd")) > before:  # the event loop closes a transport on its next turn
            await asyncio.sleep(0)
    pid = await running(jail)
    children = Path(f"/proc/{pid}/task/{pid}/children")
    if children.exists():
        async with asyncio.timeout(10):
            while children.read_text():
                await asyncio.sleep(0)


async def test_jail_that_cannot_start_says_so_each_time() -> None:
    """A reader that does not import is our failure, not the document's, and may be tried again."""
    parser = JailedParser(timeout_seconds=1, memory_bytes=MEMORY_BYTES, reader="tests.fakes.no_such_reader")
    for _ in range(2):
        with pytest.raises(IngestFailed) as raised:
            await parser.parse([letter("never read")])
        assert raised.value.code == "INTERNAL_ERROR"
        assert raised.value.retryable
    await parser.close()

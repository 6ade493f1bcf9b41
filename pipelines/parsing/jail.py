"""Parse what strangers send in processes that can do nothing else, and survive whatever happens to them."""

import asyncio
import signal
from collections.abc import Sequence

from core.errors import (
    DocumentTooLarge,
    DocumentUnreadable,
    IngestFailed,
    InternalFailure,
    ParsingTimedOut,
)
from core.log import get_logger
from pipelines.document import SourceFile
from pipelines.parsing import frames
from pipelines.parsing.base import ParsedFile
from pipelines.parsing.jail_commands import Ending
from pipelines.parsing.zygote import Fork, Zygote, ZygoteGone

log = get_logger()

_READER = "pipelines.parsing.read"
# The child's own alarm comes first; if that does not end it, the parent does, and has time left to say so.
_ALARM_SHARE, _PATIENCE_SHARE = 0.9, 0.95
_ENDING_SECONDS = 5.0
_FILES_PER_CHILD = 32
# What a large file leaves behind in a child's memory is not charged to the next file.
_LARGE_BYTES = 1024 * 1024
# A file under which the whole jail has ended this often is not tried once more now.
_LOSSES = 2


class JailedParser:
    """Implements Parser. A batch is one fork of a process that has the parsers loaded already.

    Each file has an outcome within `timeout_seconds` of its turn, however large it is, and no child ever holds more
    than `memory_bytes`, the loaded parsers included.
    """

    def __init__(self, *, timeout_seconds: float, memory_bytes: int, at_once: int = 2, reader: str = _READER) -> None:
        self._timeout_seconds = timeout_seconds
        self._memory_bytes = memory_bytes
        self._reader = reader
        self._gate = asyncio.Semaphore(at_once)
        self._starting = asyncio.Lock()
        self._zygote: Zygote | None = None
        self._closed = False

    async def warm(self) -> None:
        """Start ahead of the first file: importing the parsers takes seconds."""
        await self._ready()

    async def close(self) -> None:
        """End the jail and all its children, for good."""
        self._closed = True
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            await zygote.close()

    async def parse(self, files: Sequence[SourceFile]) -> list[ParsedFile]:
        """Return one outcome a file. A child that dies takes its file with it; the rest go on in the next one.

        Raises InternalFailure if the parsers cannot be started at all.
        """
        outcomes: list[ParsedFile] = []
        lost_at: list[int] = []
        async with self._gate:
            while len(outcomes) < len(files):
                try:
                    await self._read_batch(files[len(outcomes) :][:_FILES_PER_CHILD], outcomes)
                except ZygoteGone:
                    log.warning("parsing.jail_lost")
                    lost_at.append(len(outcomes))
                    if lost_at.count(len(outcomes)) >= _LOSSES:
                        outcomes.append(ParsedFile(failure=_try_again()))
        return outcomes

    async def _read_batch(self, files: Sequence[SourceFile], outcomes: list[ParsedFile]) -> None:
        """Append outcomes as long as one child can be trusted with the next file. Raises ZygoteGone."""
        zygote = await self._ready()
        child = await zygote.fork()
        try:
            for file in files:
                outcome = await self._read(zygote, child, file)
                outcomes.append(outcome)
                if outcome.failure is not None or len(file.content) > _LARGE_BYTES:
                    return
        finally:
            child.writer.close()
            zygote.kill(child.number)

    async def _read(self, zygote: Zygote, child: Fork, file: SourceFile) -> ParsedFile:
        seconds = self._timeout_seconds * _ALARM_SHARE
        try:
            async with asyncio.timeout(self._timeout_seconds * _PATIENCE_SHARE):
                child.writer.write(frames.request(file, seconds))
                await child.writer.drain()
                return await _answer(child.reader)
        except TimeoutError:
            return ParsedFile(failure=_timed_out(seconds))
        except frames.MalformedAnswer:
            log.warning("parsing.child_babbled")
            return ParsedFile(failure=_broke_down())
        except (OSError, asyncio.IncompleteReadError):
            return ParsedFile(failure=self._verdict(await _ending(zygote, child), seconds))

    def _verdict(self, ending: Ending, seconds: float) -> IngestFailed:
        """Return what the end of a child says about its file."""
        log.warning("parsing.child_died", signal=ending.by_signal, peak_kib=ending.peak_kib)
        if ending.by_signal in (signal.SIGALRM, signal.SIGXCPU):
            return _timed_out(seconds)
        # Some C libraries abort when they get no memory; what was held by then tells it from a plain fault.
        if ending.grown_kib * 1024 > (self._memory_bytes - ending.inherited_kib * 1024) // 2:
            return DocumentTooLarge("Reading the file takes more memory than is allowed. Split it and post the parts.")
        return _broke_down()

    async def _ready(self) -> Zygote:
        async with self._starting:
            if self._closed:
                raise _try_again()
            if self._zygote is not None and self._zygote.gone:
                await self._zygote.close()
                self._zygote = None
            if self._zygote is None:
                self._zygote = await Zygote.start(memory_bytes=self._memory_bytes, reader=self._reader)
            return self._zygote


async def _answer(reader: asyncio.StreamReader) -> ParsedFile:
    kind, length = frames.answer_length(await reader.readexactly(frames.ANSWER_PREFIX_BYTES))
    return frames.outcome(kind, await reader.readexactly(length))


async def _ending(zygote: Zygote, child: Fork) -> Ending:
    """Return how a child ended that has stopped talking. Raises ZygoteGone."""
    zygote.kill(child.number)
    try:
        async with asyncio.timeout(_ENDING_SECONDS):
            return await child.ended
    except TimeoutError as error:  # the zygote itself does not answer any more
        await zygote.close()
        raise ZygoteGone from error


def _timed_out(seconds: float) -> ParsingTimedOut:
    return ParsingTimedOut(
        f"Reading the file was not finished after {seconds:.0f} s. Simplify or split it and post it again."
    )


def _broke_down() -> DocumentUnreadable:
    return DocumentUnreadable(
        "The parser broke down over this file; it is probably damaged. Save it again in its program and post it anew."
    )


def _try_again() -> InternalFailure:
    return InternalFailure("Something went wrong on our side while reading the document; it is tried again.")

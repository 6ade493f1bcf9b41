"""What the kernel withholds from a child, even when Python is not asked."""

import ctypes
import os
import platform
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pipelines.document import SourceFile
from pipelines.parsing.jail import JailedParser
from tests.fakes.watched_jail import watch_endings

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="Landlock and network namespaces are Linux's."),
]

MEMORY_BYTES = 256 * 1024 * 1024


def landlock_version() -> int:
    return int(ctypes.CDLL(None).syscall(444, None, 0, 1)) if sys.platform == "linux" else 0


needs_landlock = pytest.mark.skipif(landlock_version() < 1, reason="This kernel has no Landlock.")
needs_filter = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="The filter knows the system calls of two architectures."
)
needs_scopes = pytest.mark.skipif(landlock_version() < 6, reason="This kernel's Landlock does not hold signals.")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def jail() -> AsyncIterator[JailedParser]:
    os.environ["CODEXOS_HOME"] = os.environ.get("CODEXOS_HOME", "not-for-parsers")
    parser = JailedParser(timeout_seconds=5, memory_bytes=MEMORY_BYTES, reader="tests.fakes.native_reader")
    await parser.warm()
    yield parser
    await parser.close()


async def answer(jail: JailedParser, deed: str) -> str:
    (outcome,) = await jail.parse([SourceFile(name=deed, content=b"anything")])
    assert outcome.failure is None, outcome
    return outcome.elements[0].text


@needs_landlock
@pytest.mark.parametrize("deed", ["open-passwords", "create-file"])
async def test_c_code_reaches_no_file(jail: JailedParser, deed: str) -> None:
    """The kernel itself refuses files outside the folders of the libraries."""
    assert await answer(jail, deed) == "Permission denied"


async def test_c_code_reaches_no_network(jail: JailedParser) -> None:
    """There is no way to an address, by the filter, by an empty namespace or by Landlock."""
    refused = {"Operation not permitted", "Permission denied", "Network is unreachable"}
    assert await answer(jail, "connect") in refused


@needs_filter
@pytest.mark.parametrize("deed", ["sockets", "fork", "execute", "hidden-file"])
async def test_c_code_is_refused_the_system_call(jail: JailedParser, deed: str) -> None:
    """No socket of any family, no process, no program, no file that exists in memory only."""
    assert await answer(jail, deed) == "Operation not permitted"


@pytest.mark.parametrize("deed", ["hoard", "hoard-shared"])
async def test_c_code_cannot_hold_more_than_the_limit(
    jail: JailedParser, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    """Neither memory of its own nor memory that no limit on data counts takes a child beyond what it may hold."""
    endings = watch_endings(monkeypatch)
    assert await answer(jail, deed) == "Cannot allocate memory"
    [ending] = await endings()
    assert MEMORY_BYTES / 2 < ending.peak_kib * 1024 <= MEMORY_BYTES


@needs_scopes
async def test_c_code_signals_nobody_else(jail: JailedParser) -> None:
    """A child cannot kill the process that forked it."""
    assert await answer(jail, "kill-jail") == "Operation not permitted"


async def test_environment_is_bare(jail: JailedParser) -> None:
    """Nothing of ours is in the child's environment, where secrets might be."""
    assert "CODEXOS" not in await answer(jail, "environment")


async def test_one_thread(jail: JailedParser) -> None:
    """A process that is forked has one thread, or locks may stay locked for ever."""
    assert await answer(jail, "threads") == "1"

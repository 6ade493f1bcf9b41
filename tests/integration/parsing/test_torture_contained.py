"""Every torture case at the limits that are the default: in time, in memory, touching nothing, reaching nobody."""

import asyncio
import gc
import os
import socket
import sys
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from core.settings import Settings
from pipelines.document import SourceFile
from pipelines.parsing.base import ParsedFile
from pipelines.parsing.jail import JailedParser
from tests.factories.torture import archives, pages, pdfs, texts
from tests.factories.torture.case import LATE, READ, Bait, Case
from tests.fakes.canary_tree import SECRET, CanaryTree, Listener
from tests.fakes.watched_jail import watch_endings
from tests.fakes.watched_reader import MARK

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="What a process holds is read from Linux's /proc."),
]

CASES: dict[str, Case] = {**texts.CASES, **pages.CASES, **archives.CASES, **pdfs.CASES}
MOST_SECONDS, MOST_CHILD_BYTES, MOST_GROWTH_BYTES = 20.0, 600_000_000, 50_000_000
# The child asked for nothing but what libraries read of themselves, and had the one socket that it was born with.
NOTHING = f"{MARK} {{}}, sockets: 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    tree: CanaryTree
    listener: Listener

    @property
    def bait(self) -> Bait:
        return Bait(address=self.listener.address, secret_path=str(self.tree.root / "secret.txt"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    listener = Listener()
    yield Place(tree=CanaryTree(tmp_path_factory.mktemp("canary")), listener=listener)
    listener.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def jail() -> AsyncIterator[JailedParser]:
    limits = Settings.model_fields
    parser = JailedParser(
        timeout_seconds=limits["parse_timeout_seconds"].default,
        memory_bytes=limits["parse_memory_bytes"].default,
        reader="tests.fakes.watched_reader",
    )
    await parser.warm()
    yield parser
    await parser.close()


def held_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def made(case: Case, bait: Bait) -> SourceFile:
    with warnings.catch_warnings(action="ignore"):  # two parts of one name are the point of a case
        return SourceFile(name=case.name, content=case.make(bait), is_web_page=case.is_web_page)


def said(outcome: ParsedFile) -> str:
    if outcome.failure is not None:
        return outcome.failure.message
    return " ".join(element.text for element in outcome.elements)


def is_slow(case: Case) -> bool:
    return case.takes_seconds or LATE in case.ends


async def test_defaults_are_what_is_promised() -> None:
    """The limits of this file are those that an installation has which sets none."""
    assert Settings.model_fields["parse_timeout_seconds"].default <= MOST_SECONDS
    assert Settings.model_fields["parse_memory_bytes"].default <= MOST_CHILD_BYTES
    assert len(CASES) >= 100


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if is_slow(case) else []) for name, case in CASES.items()]
)
async def test_contained(jail: JailedParser, place: Place, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The case ends as it may, in time and in memory; nothing is touched, nobody is reached, no secret comes out."""
    case = CASES[name]
    file, before, endings = made(case, place.bait), place.tree.state(), watch_endings(monkeypatch)
    gc.collect()
    held, began = held_bytes(), time.monotonic()
    [outcome] = await jail.parse([file])
    seconds, growth = time.monotonic() - began, held_bytes() - held
    peak = max(ending.peak_kib * 1024 for ending in await endings())

    code, text = (outcome.failure.code if outcome.failure else READ), said(outcome)
    # On a busy machine, what takes seconds anywhere may take too long: that is contained as well.
    assert code in case.ends or (case.takes_seconds and code == LATE), text[:500]
    assert seconds <= MOST_SECONDS
    assert peak <= MOST_CHILD_BYTES
    assert growth <= MOST_GROWTH_BYTES
    assert place.tree.state() == before
    assert place.listener.visits() == 0
    assert SECRET not in text
    assert case.says in text or code != READ
    # A child that the kernel ended, or that ran out of memory, had no last word.
    assert text.endswith(NOTHING) or (MARK not in text and code != READ), text[-300:]


async def test_next_file_is_read_after_any_of_them(jail: JailedParser, place: Place) -> None:
    """A batch of quick cases with a letter after each: every letter arrives."""
    quick = [case for case in CASES.values() if not is_slow(case)][::12]
    letter = SourceFile(name="letter.txt", content=b"The sundial stands at the bottom of the garden.")
    outcomes = await jail.parse([file for case in quick for file in (made(case, place.bait), letter)])
    assert all("sundial" in said(outcome) and outcome.failure is None for outcome in outcomes[1::2])


async def test_the_watch_would_notice(jail: JailedParser, place: Place, tmp_path: Path) -> None:
    """A child that asks for a socket and a file is reported, and the tree and the listener notice what they are for."""
    [outcome] = await jail.parse([SourceFile(name="control", content=b"The sundial.")])
    assert outcome.elements[-1].text == f"{MARK} {{'open elsewhere': 1, 'socket.__new__': 1}}, sockets: 1"

    tree, listener = CanaryTree(tmp_path / "tree"), Listener()
    states = [tree.state()]
    (tree.root / "secret.txt").write_text(f"{SECRET} secret.txt")  # the same bytes at another time
    states.append(tree.state())
    (tree.root / "tmp" / "new").symlink_to("/etc/passwd")
    states.append(tree.state())
    assert states[0] != states[1] != states[2]

    assert listener.visits() == 0
    await asyncio.to_thread(socket.create_connection, ("127.0.0.1", listener.port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", listener.port))
    assert listener.visits() == 2
    listener.close()

"""The jail with the real parsers: one thread, many batches, deaths and the end."""

import asyncio
import io
import os
import signal
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import openpyxl
import pytest
import pytest_asyncio

from core.errors import DocumentUnreadable, InternalFailure, ParsingTimedOut
from pipelines.document import SourceFile, document_text
from pipelines.parsing.jail import JailedParser

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMORY_BYTES = 600 * 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def jail() -> AsyncIterator[JailedParser]:
    parser = JailedParser(timeout_seconds=30, memory_bytes=MEMORY_BYTES)
    await parser.warm()
    yield parser
    await parser.close()


def letter(text: str) -> SourceFile:
    return SourceFile(name="letter.txt", content=text.encode())


@pytest.mark.skipif(sys.platform != "linux", reason="Threads are counted in /proc.")
async def test_parsers_leave_one_thread(jail: JailedParser) -> None:
    """No library has started a thread by the time the first child is forked."""
    assert jail._zygote is not None
    assert len(os.listdir(f"/proc/{jail._zygote.pid}/task")) == 1


async def test_batch_of_more_files_than_one_child_reads(jail: JailedParser) -> None:
    """Seventy files are seventy outcomes, in order."""
    outcomes = await jail.parse([letter(f"It is letter number {number}.") for number in range(70)])
    assert [document_text(outcome.elements) for outcome in outcomes] == [
        f"It is letter number {number}." for number in range(70)
    ]


async def test_nothing_to_parse(jail: JailedParser) -> None:
    """No file, no outcome, no child."""
    assert await jail.parse([]) == []


async def test_cancelled_parse_leaves_the_jail_in_order(jail: JailedParser) -> None:
    """Whoever stops waiting takes their child with them; the next batch is read."""
    task = asyncio.create_task(jail.parse([letter("x" * 1000)] * 50))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (outcome,) = await jail.parse([letter("It is still there.")])
    assert document_text(outcome.elements) == "It is still there."


def xlsx_with(doctype: str, text: str) -> bytes:
    """Return a workbook whose sheet has a document type and a cell of this text."""
    book, whole, made = openpyxl.Workbook(), io.BytesIO(), io.BytesIO()
    book.active.append(["harmless", "cell"])
    book.save(whole)
    row = f'<row r="9"><c r="A9" t="inlineStr"><is><t>{text}</t></is></c></row></sheetData>'
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(made, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "xl/worksheets/sheet1.xml":
                sheet = content.decode().replace("</sheetData>", row)
                content = f'<?xml version="1.0"?>{doctype}{sheet.split("?>")[-1]}'.encode()
            target.writestr(name, content)
    return made.getvalue()


async def test_entities_of_a_sheet_are_neither_read_nor_multiplied(jail: JailedParser) -> None:
    """A workbook that names another file, or laughs a billion times, gets nothing of it."""
    laughs = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 11))
    files = [
        xlsx_with('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', "before &e; after"),
        xlsx_with(f'<!DOCTYPE x [<!ENTITY e0 "laugh">{laughs}]>', "&e10;"),
        xlsx_with("", "fine"),
    ]
    thief, laughing, fine = await jail.parse([SourceFile(name="x.xlsx", content=content) for content in files])
    assert "root:" not in document_text(thief.elements)
    assert type(laughing.failure) is DocumentUnreadable
    assert "fine" in document_text(fine.elements)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="The children of a process are read in /proc.")
async def test_jail_killed_in_the_middle_of_a_file(tmp_path: Path) -> None:
    """The file that was being read is not blamed: it is read again, and those after it too."""
    parser = JailedParser(timeout_seconds=2, memory_bytes=MEMORY_BYTES, reader="tests.fakes.hostile_reader")
    await parser.warm()
    assert parser._zygote is not None
    pid = parser._zygote.pid
    batch = asyncio.create_task(parser.parse([SourceFile(name="sleep", content=b"x"), letter("after")]))
    children = Path(f"/proc/{pid}/task/{pid}/children")
    async with asyncio.timeout(10):
        while not children.read_text():
            await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    slept, after = await batch
    assert type(slept.failure) is ParsingTimedOut
    assert document_text(after.elements) == "after"
    assert parser._zygote.pid != pid
    await parser.close()


async def test_closed_jail_stays_closed() -> None:
    """After the end nothing is started behind its owner's back."""
    parser = JailedParser(timeout_seconds=2, memory_bytes=MEMORY_BYTES, reader="tests.fakes.hostile_reader")
    await parser.warm()
    await parser.close()
    with pytest.raises(InternalFailure):
        await parser.parse([letter("too late")])

"""Pages of strangers are reduced to their main content inside the jail."""

import time
from collections.abc import AsyncIterator

import pytest

from pipelines.document import SourceFile
from pipelines.parsing.base import ParsedFile
from pipelines.parsing.jail import JailedParser

PARAGRAPHS = {
    "English": "The crane lifts up to four tonnes when all of its outriders stand on firm ground. ",
    "German": "Der Kran hebt bis zu vier Tonnen, wenn alle Stützen auf festem Boden stehen. ",
    "Russian": "Кран поднимает до четырёх тонн, если все опоры стоят на твёрдой земле. ",
    "Chinese": "当所有支腿都站在坚实的地面上时，起重机最多可以吊起四吨。",
    "Arabic": "ترفع الرافعة ما يصل إلى أربعة أطنان عندما تقف جميع الدعامات على أرض صلبة. ",
}


@pytest.fixture
async def jail() -> AsyncIterator[JailedParser]:
    parser = JailedParser(timeout_seconds=20, memory_bytes=600 * 1024 * 1024)
    yield parser
    await parser.close()


def page(body: str) -> SourceFile:
    return SourceFile(name="page", content=f"<html><body>{body}</body></html>".encode(), is_web_page=True)


def text_of(outcome: ParsedFile) -> str:
    assert outcome.failure is None, outcome.failure
    return " ".join(element.text for element in outcome.elements)


async def test_main_content_is_found_in_any_language(jail: JailedParser) -> None:
    """The extractor has what it needs in there: the article comes out, the menu does not."""
    pages = [
        page(f"<nav><a href='/'>Menu</a></nav><article><h1>A</h1><p>{text * 6}</p></article><footer>Imprint</footer>")
        for text in PARAGRAPHS.values()
    ]
    for text, outcome in zip(PARAGRAPHS.values(), await jail.parse(pages), strict=True):
        assert text.strip() in text_of(outcome)
        assert "Imprint" not in text_of(outcome)


async def test_hostile_pages_are_contained(jail: JailedParser) -> None:
    """Nested without end, never closed, a comment or entities of megabytes: each ends in time, and the next is read."""
    hostile = {
        "deep": "<div>" * 50_000 + "deep" + "</div>" * 50_000,
        "unclosed": "<b><i>" * 30_000 + "word",
        "comment": "<!--" + "-" * 2_000_000,
        "entities": "&lt;" * 500_000,
        "tables": "<table><tr><td>" * 5_000 + "word",
    }
    began = time.monotonic()
    outcomes = await jail.parse([page(body) for body in hostile.values()])
    assert time.monotonic() - began < 20 * len(hostile)
    for name, outcome in zip(hostile, outcomes, strict=True):
        assert outcome.failure is None or outcome.failure.message.endswith("."), name
    [after] = await jail.parse([page(f"<article><p>{PARAGRAPHS['English'] * 6}</p></article>")])
    assert "four tonnes" in text_of(after)

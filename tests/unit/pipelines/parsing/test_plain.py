"""Prose, wrapped prose and code."""

import textwrap

import pytest
import spacy

from pipelines.document import ElementKind, SourceFile
from pipelines.parsing import language_model
from pipelines.parsing.lines import is_hard_wrapped
from pipelines.parsing.plain import prose, read_code

SENTENCE = "The shutter was closed because the wind had been rising since noon and nobody wished to wait for it. "


def test_wrapped_prose_is_one_paragraph() -> None:
    """The margin's line ends are not the author's."""
    wrapped = textwrap.fill(SENTENCE * 6, 72)
    assert is_hard_wrapped(wrapped)
    assert [element.text for element in prose(wrapped)] == [(SENTENCE * 6).strip()]


def test_lines_of_a_log_are_not_wrapped() -> None:
    """Lines of like length that each begin anew are the author's."""
    log = "\n".join(
        f"20:{minute:02} The autoguider lost its star and Felix found it again, sector {minute}" for minute in range(20)
    )
    assert not is_hard_wrapped(log)
    assert len(list(prose(log))) == 20


def test_overlong_line_is_not_pondered() -> None:
    """A line of a megabyte is a paragraph, before and after it there are others."""
    long = "word " * 200_000
    before, middle, after = prose(f"The dome is shut.\n\n{long}\n\nThe wind is up.")
    assert (before.text, middle.kind, after.text) == ("The dome is shut.", ElementKind.TEXT, "The wind is up.")
    assert middle.text == long


def test_code_keeps_its_indentation() -> None:
    """Blocks are cut at blank lines, and no line is moved."""
    code = "def f():\n    return 1\n\n\n    indented = 2\n" + "\n".join(f"# line {number}\n" for number in range(200))
    elements = list(read_code(SourceFile(name="x.py", content=code.encode())))
    assert len(elements) > 1
    assert {element.kind for element in elements} == {ElementKind.CODE}
    assert elements[0].text.startswith("def f():\n    return 1\n\n    indented = 2\n")
    assert [line for element in elements for line in element.text.split("\n") if line] == [
        line for line in code.split("\n") if line
    ]


@pytest.mark.skipif(spacy.util.is_package(language_model.MODEL), reason="The real model is installed and is used.")
def test_gerund_begins_a_heading() -> None:
    """A verb at the beginning names what follows; with another verb after it, it says something."""
    language_model.install()
    heading, sentence = prose("Opening the dome\n\nOpening the dome is forbidden at noon.")
    assert (heading.kind, sentence.kind) == (ElementKind.TITLE, ElementKind.TEXT)


def test_text_longer_than_any_book_is_text_all_the_way() -> None:
    """Beyond what unstructured is asked about nothing is lost, and a part is as long as a passage."""
    lines = [f"{number} bells were heard" for number in range(25_000)]
    found = list(prose("\n".join(lines)))
    assert "\n".join(element.text.strip("\n") for element in found) == "\n".join(lines)
    assert len(found) < 20_500
    assert max(len(element.text) for element in found) <= 1_000

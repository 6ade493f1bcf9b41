"""Sentences that answer come first, and only those."""

import pytest

from pipelines.embedding.hashed import HashEmbedder
from pipelines.retrieval.extract import extract
from tests.factories.hits import hit

QUESTION = "Who may open the dome?"
RULE = "Only the duty observer and the dome engineer may open the dome."


def texts(passage: str) -> list[str]:
    return [found.text for found in extract(QUESTION, [hit(text=passage)], HashEmbedder(), most=3)]


@pytest.mark.parametrize("heading", ["Who may open the dome", "Opening the dome", "The dome"])
def test_a_heading_answers_nothing(heading: str) -> None:
    """The sentence below it does, alone."""
    assert texts(f"{heading}\n\n{RULE}") == [RULE]


@pytest.mark.parametrize("line", ["Who may open the dome: the keeper", "The dome may open at noon."])
def test_a_short_line_that_says_something_is_an_answer(line: str) -> None:
    """It has a stop, or tells of something with a colon."""
    assert line in texts(f"{line}\n\nNothing else is told here about it.")


def test_a_heading_stands_where_there_is_nothing_better() -> None:
    """With less confidence than a sentence would have."""
    passage = "Opening the dome\n\nNothing of that kind."
    [found, *_] = extract(QUESTION, [hit(text=passage)], HashEmbedder(), most=3)
    [sentence, *_] = extract(QUESTION, [hit(text="Opening the dome. Nothing of that kind.")], HashEmbedder(), most=3)
    assert (found.text, sentence.text) == ("Opening the dome", "Opening the dome.")
    assert found.confidence < sentence.confidence

"""Sentences are found as spans of their passage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.retrieval.sentences import LONGEST_CHARACTERS, sentence_spans


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        (
            "It is 3.5 km to Dr. Grey, e.g. by boat. Then walk.",
            ["It is 3.5 km to Dr. Grey, e.g. by boat.", "Then walk."],
        ),
        ('He said "Stop!" and left.', ['He said "Stop!" and left.']),
        ("He cried “Stop!” Then he left.", ["He cried “Stop!”", "Then he left."]),
        ("J. R. Smith wrote it.", ["J. R. Smith wrote it."]),
        ("第一句。第二句！", ["第一句。", "第二句！"]),
        ("A heading\n\nIts text.", ["A heading", "Its text."]),
        ("- one thing\n- another thing", ["- one thing", "- another thing"]),
        ("a wrapped\nline. Next", ["a wrapped\nline.", "Next"]),
        ("  ", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, sentences: list[str]) -> None:
    """Not at abbreviations, initials, numbers or wrapped lines; without spaces where a script has none."""
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


@given(st.text(alphabet="aB .!?\n-。\t1", max_size=2_000))
def test_nothing_is_lost_doubled_or_blank(text: str) -> None:
    """Spans are in order, apart, trimmed and bounded; between them is only white space."""
    last = 0
    for start, end in sentence_spans(text):
        assert last <= start < end <= len(text)
        assert text[last:start].strip() == ""
        assert text[start:end] == text[start:end].strip()
        assert end - start <= LONGEST_CHARACTERS
        last = end
    assert text[last:].strip() == ""

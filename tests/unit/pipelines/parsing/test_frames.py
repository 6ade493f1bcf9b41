"""What the child says is checked before it is believed."""

import io
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DocumentEncrypted, DocumentUnreadable
from pipelines.document import Element, ElementKind, SourceFile
from pipelines.parsing import frames
from pipelines.parsing.base import ParsedFile

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
ELEMENTS = st.builds(
    Element,
    kind=st.sampled_from(ElementKind),
    text=WORDS,
    page=st.none() | st.integers(1, 5_000),
    section=st.none() | WORDS,
)


def heard(frame: bytes) -> ParsedFile:
    """Return what the parent understands of a frame."""
    kind, length = frames.answer_length(frame[: frames.ANSWER_PREFIX_BYTES])
    body = frame[frames.ANSWER_PREFIX_BYTES :]
    assert len(body) == length
    return frames.outcome(kind, body)


@given(st.lists(ELEMENTS, max_size=6).map(tuple))
def test_elements_arrive_as_they_were_sent(elements: tuple[Element, ...]) -> None:
    """Kind, text, page and section survive the way, whatever their letters."""
    assert heard(frames.answer(elements)) == ParsedFile(elements=elements)


def test_refusal_keeps_its_kind_and_sentence() -> None:
    """A failure is the same class on both sides."""
    failure = heard(frames.refusal(DocumentEncrypted("Remove the password."))).failure
    assert type(failure) is DocumentEncrypted
    assert failure.message == "Remove the password."


def test_unknown_code_is_a_fault_of_the_document() -> None:
    """A code of no class of ours does not choose an exception in the parent."""
    assert type(frames.outcome(b"R", b'["SystemExit", "now"]').failure) is DocumentUnreadable


@given(st.sampled_from([b"E", b"R", b"X"]), st.binary(max_size=200))
def test_any_bytes_are_an_outcome_or_malformed(kind: bytes, body: bytes) -> None:
    """Nothing that a child can say raises anything else in the parent."""
    with suppress(frames.MalformedAnswer):
        assert isinstance(frames.outcome(kind, body), ParsedFile)


@pytest.mark.parametrize(
    "body",
    [
        struct.pack("!BIII", 0, 0, 0, 10) + b"short",
        struct.pack("!BIII", 200, 0, 0, 1) + b"x",
        struct.pack("!BIII", 0, 0, 0, 2) + b"\xff\xfe",
        struct.pack("!BIII", 0, 0, 0, 3) + b"\xed\xa0\x80",
        b"\0\0",
    ],
    ids=["more than there is", "no such kind", "no UTF-8", "half a surrogate pair", "half a head"],
)
def test_malformed_elements(body: bytes) -> None:
    """Lengths, kinds and encodings that do not hold are refused."""
    with pytest.raises(frames.MalformedAnswer):
        frames.outcome(b"E", body)


@pytest.mark.parametrize(("kind", "length"), [(b"E", frames.MAX_ANSWER_BYTES + 1), (b"R", 1_000_000), (b"X", 5_000)])
def test_overlong_answers_are_not_awaited(kind: bytes, length: int) -> None:
    """The parent never makes room for more than an answer may have."""
    with pytest.raises(frames.MalformedAnswer):
        frames.answer_length(struct.pack("!cI", kind, length))


def test_requests_follow_each_other() -> None:
    """The child reads files one after the other until there is none."""
    files = [SourceFile(name="a.txt", content=b"one"), SourceFile(name="ü", content=b"")]
    stream = io.BytesIO(b"".join(frames.request(file, 1.5) for file in files))
    assert [frames.read_request(stream) for _ in range(3)] == [(files[0], 1.5), (files[1], 1.5), None]

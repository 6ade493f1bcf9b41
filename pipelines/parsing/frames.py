"""What parent and jailed child say to each other: lengths, then bytes. Never pickle: the child is not trusted.

Nor JSON from its side: a few megabytes of brackets would become gigabytes of lists in the parent. An answer is a row of
elements whose number and lengths are checked while it is read.
"""

import json
import struct
from collections.abc import Iterator
from typing import BinaryIO

from core import errors
from core.errors import DocumentTooLarge, DocumentUnreadable, IngestFailed
from pipelines.document import Element, ElementKind, SourceFile
from pipelines.parsing.base import ParsedFile
from pipelines.parsing.limits import MAX_ELEMENTS

_REQUEST = struct.Struct("!dII?")  # seconds, bytes of the name, bytes of the content, whether from the web
_ANSWER = struct.Struct("!cI")  # what it is, bytes of the body
_ELEMENT = struct.Struct("!BIII")  # kind, page (0 is none), bytes of the section (0 is none), bytes of the text
ANSWER_PREFIX_BYTES = _ANSWER.size
# An answer longer than this is not read: the child may be anything by then.
MAX_ANSWER_BYTES = 128 * 1024 * 1024

_ELEMENTS = b"E"
_REFUSAL = b"R"
_KINDS = tuple(ElementKind)
_FAILURES: dict[str, type[IngestFailed]] = {
    kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, IngestFailed)
}


class MalformedAnswer(ValueError):
    """The child said something it never says."""


def request(file: SourceFile, seconds: float) -> bytes:
    """Return the frame that hands a file to the child."""
    name = file.name.encode("utf-8", "replace")
    return _REQUEST.pack(seconds, len(name), len(file.content), file.is_web_page) + name + file.content


def read_request(stream: BinaryIO) -> tuple[SourceFile, float] | None:
    """Return the next file and its seconds; None when there is no more."""
    prefix = stream.read(_REQUEST.size)
    if len(prefix) < _REQUEST.size:
        return None
    seconds, name_bytes, content_bytes, is_web_page = _REQUEST.unpack(prefix)
    name = stream.read(name_bytes).decode("utf-8", "replace")
    return SourceFile(name=name, content=stream.read(content_bytes), is_web_page=is_web_page), seconds


def answer(elements: tuple[Element, ...]) -> bytes:
    """Return the frame for a file that was read."""
    body = b"".join(_packed(elements))
    if len(body) > MAX_ANSWER_BYTES:
        return refusal(DocumentTooLarge("The document has more text than one document may have. Split it up."))
    return _ANSWER.pack(_ELEMENTS, len(body)) + body


def refusal(failure: IngestFailed) -> bytes:
    """Return the frame for a file that was not."""
    body = json.dumps([failure.code, failure.message]).encode()
    return _ANSWER.pack(_REFUSAL, len(body)) + body


def answer_length(prefix: bytes) -> tuple[bytes, int]:
    """Return what follows `prefix`, and its length. Raises MalformedAnswer."""
    kind, length = _ANSWER.unpack(prefix)
    if length > (MAX_ANSWER_BYTES if kind == _ELEMENTS else _MAX_REFUSAL_BYTES):
        raise MalformedAnswer("too long")
    return kind, length


_MAX_REFUSAL_BYTES = 4096


def outcome(kind: bytes, body: bytes) -> ParsedFile:
    """Return what an answer says. Raises MalformedAnswer."""
    try:
        if kind == _ELEMENTS:
            return ParsedFile(elements=tuple(_unpacked(body)))
        if kind == _REFUSAL:
            code, message = json.loads(body)
            return ParsedFile(failure=_FAILURES.get(code, DocumentUnreadable)(str(message)))
    except (ValueError, TypeError, IndexError, struct.error, RecursionError) as error:
        raise MalformedAnswer(repr(error)) from error
    raise MalformedAnswer("unknown kind")


def _packed(elements: tuple[Element, ...]) -> Iterator[bytes]:
    for element in elements:
        section, text = (element.section or "").encode(), element.text.encode()
        yield _ELEMENT.pack(_KINDS.index(element.kind), element.page or 0, len(section), len(text)) + section + text


def _unpacked(body: bytes) -> Iterator[Element]:
    at = count = 0
    while at < len(body):
        kind, page, section_bytes, text_bytes = _ELEMENT.unpack_from(body, at)
        at += _ELEMENT.size
        count += 1
        if count > MAX_ELEMENTS or at + section_bytes + text_bytes > len(body):
            raise MalformedAnswer("more than there is")
        section = body[at : at + section_bytes].decode()
        at += section_bytes
        text = body[at : at + text_bytes].decode()
        at += text_bytes
        yield Element(kind=_KINDS[kind], text=text, page=page or None, section=section or None)

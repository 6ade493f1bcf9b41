"""What parent and jailed child say to each other: lengths, JSON, bytes. Never pickle: the child is not trusted."""

import json
import struct
from typing import Any

from core import errors
from core.errors import DocumentUnreadable, IngestFailed
from pipelines.document import Element, ElementKind
from pipelines.parsing.base import ParsedFile

_LENGTHS = struct.Struct("!II")
PREFIX_BYTES = _LENGTHS.size
# An answer longer than this is not read: the child may be anything by then.
MAX_ANSWER_BYTES = 256 * 1024 * 1024

_FAILURES: dict[str, type[IngestFailed]] = {
    kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, IngestFailed)
}


def pack(header: dict[str, Any], content: bytes = b"") -> bytes:
    """Return one frame."""
    head = json.dumps(header).encode()
    return _LENGTHS.pack(len(head), len(content)) + head + content


def lengths(prefix: bytes) -> tuple[int, int]:
    """Return the lengths of header and content that follow `prefix`."""
    head, content = _LENGTHS.unpack(prefix)
    return head, content


def answer(elements: tuple[Element, ...]) -> bytes:
    """Return the frame for a file that was read."""
    rows = [[element.kind.value, element.text, element.page, element.section] for element in elements]
    return pack({"elements": rows})


def refusal(failure: IngestFailed) -> bytes:
    """Return the frame for a file that was not."""
    return pack({"code": failure.code, "message": failure.message})


def outcome(header: dict[str, Any]) -> ParsedFile:
    """Return what the child's header says. Raises ValueError or KeyError if it is not one of its answers."""
    if "code" in header:
        return ParsedFile(failure=_FAILURES.get(header["code"], DocumentUnreadable)(str(header["message"])))
    elements = tuple(
        Element(
            kind=ElementKind(kind),
            text=str(text),
            page=None if page is None else int(page),
            section=None if section is None else str(section),
        )
        for kind, text, page, section in header["elements"]
    )
    return ParsedFile(elements=elements)

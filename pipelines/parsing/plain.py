"""Text in its own right: prose, code, and anything else that can be read as text."""

import codecs
import io
import re
from collections.abc import Iterator

from charset_normalizer import from_bytes

from pipelines.document import Element, ElementKind, SourceFile
from pipelines.parsing.elements import from_unstructured
from pipelines.parsing.language import LANGUAGES
from pipelines.parsing.lines import is_hard_wrapped, join_lines

_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Guessing an encoding reads the text many times over; the beginning tells as much as the whole.
_SAMPLE_BYTES = 64 * 1024
# By far the most frequent of the single-byte encodings, which a guess confuses with its neighbours.
_WESTERN = "cp1252"
_DECLARED = re.compile(
    rb"""(?:<meta[^>]{0,200}?charset|<\?xml[^>]{0,200}?encoding)\s*=\s*["']?\s*([\w-]{3,20})""", re.I
)
_DECLARED_WITHIN = 2048
# A paragraph this long is a paragraph: asking unstructured what it is would only take long.
_PROSE_CHARACTERS = 10_000
# Nor is it asked beyond so much of one text: no book is as long, and the rest is text whatever else it is.
_ASKED_CHARACTERS = 2_000_000
_ASKED_LINES = 20_000
_CODE_CHARACTERS = 1_000
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")


def decode(content: bytes) -> str:
    """Return the text of `content`: by its byte order mark, as UTF-8, as it declares, as is likeliest."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return _normal(content.decode(encoding, "replace"))
    try:
        return _normal(content.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    try:
        return _normal(content.decode(_declared(content) or _guessed(content), "replace"))
    except UnicodeError:  # some that can be declared, such as idna, replace nothing
        return _normal(content.decode("utf-8", "replace"))


def _normal(text: str) -> str:
    return text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")


def _declared(content: bytes) -> str | None:
    found = _DECLARED.search(content[:_DECLARED_WITHIN])
    if found is None:
        return None
    try:
        return codecs.lookup(found[1].decode("ascii")).name
    except LookupError:
        return None


def _guessed(content: bytes) -> str:
    matches = list(from_bytes(content[:_SAMPLE_BYTES]))
    if not matches:
        return "latin-1"
    western = next((match for match in matches if match.encoding == _WESTERN), None)
    if western is not None and western.chaos <= matches[0].chaos:
        return _WESTERN
    return matches[0].encoding


def read_text(file: SourceFile) -> Iterator[Element]:
    """Yield paragraphs, titles and list items."""
    yield from prose(decode(file.content))


def prose(text: str, *, page: int | None = None) -> Iterator[Element]:
    """Yield what is in a text whose paragraphs may be wrapped."""
    from unstructured.partition.text import partition_text

    if is_hard_wrapped(text):
        text = join_lines(text)
    asked, rest = _asked(text)
    for long, part in _by_length(asked):
        if long:
            yield Element(kind=ElementKind.TEXT, text=part, page=page)
        elif part.strip():
            yield from from_unstructured(partition_text(text=part, languages=LANGUAGES), page=page)

    for part in _parts(rest):
        yield Element(kind=ElementKind.TEXT, text=part, page=page)


def _asked(text: str) -> tuple[str, str]:
    """Return the lines of which unstructured is asked what they are, and the others."""
    end = text.find("\n", _ASKED_CHARACTERS) if len(text) > _ASKED_CHARACTERS else -1
    head = text if end < 0 else text[:end]
    if head.count("\n") > _ASKED_LINES:
        head = "\n".join(head.split("\n", _ASKED_LINES)[:_ASKED_LINES])
    return head, text[len(head) :]


def _parts(text: str) -> Iterator[str]:
    """Yield runs of lines as long as those of code."""
    part: list[str] = []
    length = 0
    for line in io.StringIO(text):
        if part and length + len(line) > _CODE_CHARACTERS:
            yield "".join(part)
            part, length = [], 0
        part.append(line)
        length += len(line)
    if part:
        yield "".join(part)


def _by_length(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the text in runs of short lines, and its overlong lines each by itself."""
    run: list[str] = []
    for line in text.split("\n"):
        if len(line) <= _PROSE_CHARACTERS:
            run.append(line)
            continue
        yield False, "\n".join(run)
        yield True, line
        run = []
    yield False, "\n".join(run)


def read_code(file: SourceFile) -> Iterator[Element]:
    """Yield runs of lines that belong together: cut at blank lines, indentation kept."""
    part = ""
    for block in _BLANK_LINES.split(decode(file.content)):
        if part and len(part) + len(block) > _CODE_CHARACTERS:
            yield Element(kind=ElementKind.CODE, text=part)
            part = ""
        part = f"{part}\n\n{block}" if part else block
    yield Element(kind=ElementKind.CODE, text=part)

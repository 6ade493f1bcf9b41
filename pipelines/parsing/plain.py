"""Text in its own right: txt and anything else that can be read as text."""

from collections.abc import Iterator

from charset_normalizer import from_bytes

from pipelines.document import Element, SourceFile
from pipelines.parsing.elements import from_unstructured
from pipelines.parsing.language import LANGUAGES

_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Guessing an encoding reads the text many times over; the beginning tells as much as the whole.
_SAMPLE_BYTES = 64 * 1024


def decode(content: bytes) -> str:
    """Return the text of `content`: by its byte order mark, else as UTF-8, else by the likeliest encoding."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        best = from_bytes(content[:_SAMPLE_BYTES]).best()
        return content.decode(best.encoding if best else "latin-1", "replace")


def read_text(file: SourceFile) -> Iterator[Element]:
    from unstructured.partition.text import partition_text

    text = decode(file.content)
    if text.strip():
        yield from from_unstructured(partition_text(text=text, languages=LANGUAGES))

"""multipart/form-data (RFC 7578) in one pass over a buffer, copying each part once and nothing else."""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from core.errors import ValidationFailed

MAX_PARTS = 32
_MAX_PART_HEAD_BYTES = 8_192
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
# A parameter of Content-Disposition: name="…" with backslash escapes, or name=token.
_PARAMETER = re.compile(r';\s*([\w!#$%&*+.^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))')


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """`file_name` is None for a field. The name is reduced to harmless path segments, for it is only a label."""

    name: str
    file_name: str | None
    content: bytes


def boundary_of(content_type: str) -> bytes:
    """Return the boundary named by a Content-Type header. Raises ValidationFailed."""
    found = dict(_parameters(content_type)).get("boundary", "")
    if not _BOUNDARY.fullmatch(found):
        raise _malformed("The Content-Type header names no usable boundary.")
    return found.encode()


def parse(body: bytearray, boundary: bytes) -> list[Part]:
    """Return the parts in order. Raises ValidationFailed with one sentence about the first fault."""
    delimiter = b"\r\n--" + boundary
    if body.startswith(delimiter[2:]):
        position = len(delimiter) - 2
    elif (found := body.find(delimiter)) >= 0:  # a preamble before the first part is allowed and ignored
        position = found + len(delimiter)
    else:
        raise _malformed("The boundary named by the Content-Type header does not occur in the body.")
    parts: list[Part] = []
    while not body.startswith(b"--", position):
        if len(parts) == MAX_PARTS:
            raise _malformed(f"There are more than {MAX_PARTS} parts.")
        end = body.find(delimiter, position)
        if end < 0:
            raise _malformed("The body ends in the middle of a part.")
        parts.append(_part(body, position, end))
        position = end + len(delimiter)
    return parts


def _part(body: bytearray, start: int, end: int) -> Part:
    head_end = body.find(b"\r\n\r\n", start, min(end, start + _MAX_PART_HEAD_BYTES) + 4)
    if head_end < 0 or not body[start:head_end].lstrip(b" \t").startswith(b"\r\n"):
        raise _malformed("A part has no readable headers.")
    try:
        lines = body[start:head_end].decode("utf-8").split("\r\n")[1:]
    except UnicodeDecodeError:
        raise _malformed("The headers of a part are not UTF-8.") from None
    disposition = next((line for line in lines if line.lower().startswith("content-disposition:")), "")
    parameters = dict(_parameters(disposition))
    if "form-data" not in disposition.lower() or not parameters.get("name"):
        raise _malformed("A part has no name.")
    return Part(
        name=parameters["name"],
        file_name=_label(_file_name(parameters)),
        content=bytes(memoryview(body)[head_end + 4 : end]),
    )


def _parameters(header: str) -> list[tuple[str, str]]:
    return [
        (name.lower(), token or re.sub(r"\\(.)", r"\1", quoted)) for name, quoted, token in _PARAMETER.findall(header)
    ]


def _file_name(parameters: dict[str, str]) -> str | None:
    extended = parameters.get("filename*", "")
    if extended.lower().startswith("utf-8'"):  # RFC 8187: charset'language'percent-encoded
        return unquote_to_bytes(extended.split("'", 2)[-1]).decode("utf-8", "replace")
    return parameters.get("filename")


def _label(name: str | None) -> str | None:
    if name is None:
        return None
    printable = "".join(character for character in unicodedata.normalize("NFC", name) if character.isprintable())
    segments = [segment for segment in re.split(r"[/\\]", printable) if segment.strip(" .") and ":" not in segment]
    return "/".join(segments)[-500:] or "unnamed"


def _malformed(sentence: str) -> ValidationFailed:
    return ValidationFailed("The form cannot be read.", violations=[{"pointer": "", "message": sentence}])

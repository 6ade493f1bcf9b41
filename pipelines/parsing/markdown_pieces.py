"""Markdown in pieces that take bounded time to read.

The library's time grows with the square of a text and worse with what is opened in a paragraph and never closed: eight
thousand brackets take twenty seconds. Nobody writes these; they are text.
"""

import re
from collections.abc import Iterator

# A text as long as this is one piece, and read exactly as the library reads it.
_PIECE_CHARACTERS = 64 * 1024
_LINE_CHARACTERS = 10_000
_OPEN = 100
_DEEP = 50

_MANY_BLANK_LINES = re.compile(r"\n{100,}")
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)")
_DEFINITION = re.compile(r"^ {0,3}\[([^\[\]\n]{1,200})\]:[ \t]*\S.*$", re.MULTILINE)
_MENTION = re.compile(r"\[([^\[\]\n]{1,200})\]")
_QUOTED = re.compile(rf"^[ \t]*(?:>[ \t]?){{{_DEEP}}}")
_INDENTED = re.compile(rf"^ {{{4 * _DEEP}}}")
_BACKTICKS = re.compile(r"(?<!`)`+")


def pieces(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the text in order, and of each piece whether it is Markdown or has to be taken as it stands."""
    text = _MANY_BLANK_LINES.sub("\n\n", text)
    definitions = {} if len(text) <= _PIECE_CHARACTERS else _definitions(text)
    piece: list[str] = []
    length = 0
    for paragraph in _paragraphs(text):
        knotted = _is_knotted(paragraph)
        if piece and (knotted or length + len(paragraph) > _PIECE_CHARACTERS):
            yield True, _with_definitions("\n".join(piece), definitions)
            piece, length = [], 0
        if knotted:
            yield False, paragraph
        else:
            piece.append(paragraph)
            length += len(paragraph)
    if piece:
        yield True, _with_definitions("\n".join(piece), definitions)


def _paragraphs(text: str) -> Iterator[str]:
    """Yield what blank lines part; what a fence holds stays with it, and what is indented with what is above it."""
    paragraph: list[str] = []
    fenced = blank = False
    for line in text.split("\n"):
        if blank and line.strip() and not fenced and not line.startswith((" ", "\t")):
            yield "\n".join(paragraph)
            paragraph = []
        fenced ^= _FENCE.match(line) is not None
        blank = not line.strip()
        paragraph.append(line)
    yield "\n".join(paragraph)


def _is_knotted(paragraph: str) -> bool:
    lines = list(_outside_fences(paragraph))
    if any(len(line) > _LINE_CHARACTERS or _QUOTED.match(line) or _INDENTED.match(line) for line in lines):
        return True
    prose = "\n".join(lines)
    if len(prose) > _PIECE_CHARACTERS:
        return True
    opened, deepest = _brackets(prose)
    angles = prose.count("<") - prose.count(">")
    runs = _BACKTICKS.findall(prose)
    lone_runs = sum(runs.count(run) % 2 for run in set(runs))
    return opened > _OPEN or deepest > _DEEP or angles > _OPEN or lone_runs > _OPEN


def _outside_fences(paragraph: str) -> Iterator[str]:
    """Yield the lines in which the library looks for anything; a fence that is never closed holds none."""
    lines = paragraph.split("\n")
    fences = [number for number, line in enumerate(lines) if _FENCE.match(line)]
    fenced = {number for start, end in zip(fences[::2], fences[1::2], strict=False) for number in range(start, end + 1)}
    return (line for number, line in enumerate(lines) if number not in fenced)


def _brackets(paragraph: str) -> tuple[int, int]:
    """Return how many brackets and parentheses stay open, and how deep they go."""
    depth = deepest = 0
    for sign in re.findall(r"[\[\]()]", paragraph):
        depth = depth + 1 if sign in "[(" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return depth, deepest


def _definitions(text: str) -> dict[str, str]:
    return {found[1].lower(): found[0].strip() for found in _DEFINITION.finditer(text)}


def _with_definitions(piece: str, definitions: dict[str, str]) -> str:
    """Return the piece and the addresses that its links name and another piece defines."""
    named = dict.fromkeys(mention.lower() for mention in _MENTION.findall(piece)) if definitions else {}
    return "\n\n".join([piece, *(definitions[name] for name in named if name in definitions)])

"""A document as the smallest pieces worth keeping whole, each with the strength of the boundary before it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from pipelines.chunking.limits import Limits
from pipelines.chunking.measured import MeasuredText
from pipelines.document import ELEMENT_SEPARATOR, Element, ElementKind


class Strength(IntEnum):
    """How good a place to cut is; a title is glued to what it announces."""

    GLUED = 0
    WORD = 1
    CLAUSE = 2
    SENTENCE = 3
    LINE = 4
    PARAGRAPH = 5
    ELEMENT = 6
    SECTION = 7


@dataclass(frozen=True, slots=True)
class Piece:
    """The span [start, end) of the document's text, separators after it included; pieces tile the text."""

    start: int
    end: int
    strength: Strength


@dataclass(frozen=True, slots=True)
class ElementSpan:
    start: int
    end: int
    element: Element


_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_LINE = re.compile(r"\n\s*")
# A full stop ends a sentence before a blank, unless it follows a lone letter (an initial, "e.g.") or a common
# abbreviation. The case of the next word says nothing: much text is lower-cased. East Asian stops need no blank.
# A run of stops or blanks is entered at its first character only: from any other the search would be quadratic.
_SENTENCE = re.compile(
    r"(?:(?<!\.)(?<!\b\w)(?<!\b(?:mr|ms|dr|st|vs|no|cf|al|jr|sr))(?<!\b(?:mrs|inc|ltd|fig|etc))\.++|(?<![!?…])[!?…]++)"
    r"[\"'”’»)\]]*+\s++|[。！？｡]++[」』”’）]*+\s*+",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:][\"'”’)\]]*+\s++|(?<!\s)\s++[-–—|]\s++|[，、；：]\s*+")
# Lines are what code and tables are made of; a full stop in them ends nothing.
_LINED = frozenset({ElementKind.CODE, ElementKind.TABLE})


def element_spans(elements: Sequence[Element]) -> list[ElementSpan]:
    """Return where each element lies in `document_text(elements)`."""
    spans, start = [], 0
    for element in elements:
        spans.append(ElementSpan(start, start + len(element.text), element))
        start += len(element.text) + len(ELEMENT_SEPARATOR)
    return spans


def pieces_of(measured: MeasuredText, spans: Sequence[ElementSpan], limits: Limits) -> list[Piece]:
    """Return sentences (lines of code and tables), cut further only where one alone exceeds the limits."""
    boundaries = _boundaries(measured.text, spans)
    ends = [*(start for start, _ in boundaries), len(measured.text)][1:]
    pieces: list[Piece] = []
    for (start, strength), end in zip(boundaries, ends, strict=True):
        pieces.extend(_fitting(measured, Piece(start, end, strength), limits))
    return pieces


def _boundaries(text: str, spans: Sequence[ElementSpan]) -> list[tuple[int, Strength]]:
    found: list[tuple[int, Strength]] = []
    previous: Element | None = None
    for span in spans:
        if not span.element.text.strip():
            continue
        # The first piece begins with the text, whatever blank elements come before.
        found.append((span.start if found else 0, _between(previous, span.element)))
        found.extend(_inside(text, span))
        previous = span.element
    return found


def _between(previous: Element | None, element: Element) -> Strength:
    if previous is not None and previous.kind is ElementKind.TITLE:
        return Strength.GLUED
    if previous is None or element.kind is ElementKind.TITLE or element.section != previous.section:
        return Strength.SECTION
    return Strength.ELEMENT


def _inside(text: str, span: ElementSpan) -> Iterator[tuple[int, Strength]]:
    patterns = [(_PARAGRAPH, Strength.PARAGRAPH), (_LINE, Strength.LINE)]
    if span.element.kind not in _LINED:
        patterns.append((_SENTENCE, Strength.SENTENCE))
    strongest: dict[int, Strength] = {}
    for pattern, strength in patterns:
        for match in pattern.finditer(text, span.start, span.end):
            if span.start < match.end() < span.end:
                strongest.setdefault(match.end(), strength)
    yield from sorted(strongest.items())


def _fitting(measured: MeasuredText, piece: Piece, limits: Limits) -> Iterator[Piece]:
    """Yield the piece, or its clauses, or windows of whole words, or of tokens where a word alone is too long."""
    if fits(measured, piece.start, piece.end, limits):
        yield piece
        return
    start, strength = piece.start, piece.strength
    cuts = [match.end() for match in _CLAUSE.finditer(measured.text, piece.start, piece.end)]
    for cut in [*cuts, piece.end]:
        while not fits(measured, start, cut, limits):
            end = min(measured.reach(start, limits.tokens, limits.characters), cut)
            yield Piece(start, end, strength)
            start, strength = end, Strength.WORD
        if start < cut:
            yield Piece(start, cut, strength)
            start, strength = cut, Strength.CLAUSE


def fits(measured: MeasuredText, start: int, end: int, limits: Limits) -> bool:
    """Whether [start, end) is within both limits, blanks around it not counted as text but as length."""
    return end - start <= limits.characters and measured.tokens(start, end) <= limits.tokens

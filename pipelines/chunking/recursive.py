"""Whole sentences packed into passages that end at the strongest boundary in reach, a section's before a line's."""

from collections.abc import Iterator, Sequence

from pipelines.chunking.base import Tokenizer
from pipelines.chunking.limits import Limits, limits_of
from pipelines.chunking.measured import MeasuredText
from pipelines.chunking.passages import Span, passages_of
from pipelines.chunking.pieces import Piece, Strength, element_spans, fits, pieces_of
from pipelines.document import ChunkingConfig, Element, Passage, document_text

# A passage this full may end early for the sake of a stronger boundary.
FULL_ENOUGH = 0.5


class RecursiveChunker:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def split(self, elements: Sequence[Element], config: ChunkingConfig) -> list[Passage]:
        limits = limits_of(config, self._tokenizer)
        measured = MeasuredText(document_text(elements), self._tokenizer)
        spans = element_spans(elements)
        packed = pack(measured, pieces_of(measured, spans, limits), limits)
        return passages_of(measured.text, packed, spans, self._tokenizer, limits)


def pack(measured: MeasuredText, pieces: Sequence[Piece], limits: Limits) -> Iterator[Span]:
    """Yield spans of whole pieces within the limits, each with the overlap before it where it continues a section."""
    first = 0
    start = pieces[0].start if pieces else 0
    while first < len(pieces):
        following = end_of_passage(measured, pieces, first, start, limits)
        end = pieces[following - 1].end
        yield start, end
        if following < len(pieces):
            start = start_of_overlap(measured, pieces, following, start, limits)
        first = following


def end_of_passage(measured: MeasuredText, pieces: Sequence[Piece], first: int, start: int, limits: Limits) -> int:
    """Return the index after the last piece of the passage that begins at `start` and brings pieces from `first` on."""
    following = first + 1
    while following < len(pieces) and fits(measured, start, pieces[following].end, limits):
        following += 1
    if following == len(pieces):
        return following
    best = following
    for index in range(following - 1, first, -1):
        if measured.tokens(start, pieces[index].start) < FULL_ENOUGH * limits.tokens:
            break
        if pieces[index].strength > pieces[best].strength:
            best = index
    return best


def start_of_overlap(
    measured: MeasuredText, pieces: Sequence[Piece], following: int, previous_start: int, limits: Limits
) -> int:
    """Return where the passage that brings `pieces[following]` begins: whole pieces before it, or words of the last."""
    cut = pieces[following]
    if cut.strength is Strength.SECTION or limits.overlap == 0:
        return cut.start
    room = min(limits.overlap, limits.tokens - measured.tokens(cut.start, cut.end))
    start = cut.start
    for index in range(following - 1, -1, -1):
        begin = pieces[index].start
        if begin <= previous_start or measured.tokens(begin, cut.start) > room:
            break
        start = begin
    if start == cut.start:
        start = measured.tail(cut.start, room, not_before=previous_start + 1)
    return start if fits(measured, start, cut.end, limits) else cut.start

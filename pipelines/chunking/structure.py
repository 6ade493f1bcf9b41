"""Passages that follow the document's own structure: no section is mixed with another, no table or paragraph is cut
that fits a passage, and only what is too long for one is cut further, as the recursive chunker does it."""

from collections.abc import Iterator, Sequence

from pipelines.chunking.base import Tokenizer
from pipelines.chunking.limits import Limits, limits_of
from pipelines.chunking.measured import MeasuredText
from pipelines.chunking.passages import Span, passages_of
from pipelines.chunking.pieces import ElementSpan, Piece, Strength, element_spans, fits, pieces_of
from pipelines.chunking.recursive import end_of_passage, start_of_overlap
from pipelines.document import ChunkingConfig, Element, ElementKind, Passage, document_text


class StructureChunker:
    """`overlap_tokens` is shared by the parts of what was too long for one passage; sections share nothing."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def split(self, elements: Sequence[Element], config: ChunkingConfig) -> list[Passage]:
        limits = limits_of(config, self._tokenizer)
        measured = MeasuredText(document_text(elements), self._tokenizer)
        spans = element_spans(elements)
        blocks = _blocks(measured, pieces_of(measured, spans, limits), spans, limits)
        packed = (span for section in _sections(blocks) for span in _packed(measured, section, limits))
        return passages_of(measured.text, packed, spans, self._tokenizer, limits)


def _blocks(
    measured: MeasuredText, pieces: Sequence[Piece], spans: Sequence[ElementSpan], limits: Limits
) -> Iterator[Piece]:
    """Yield whole elements where they fit, else their pieces; like pieces, they tile the text."""
    title_start: int | None = None  # of the titles that announce the next element
    for element, own in _by_element(pieces, spans):
        start, end = own[0].start, own[-1].end
        # A paragraph gives up its beginning to its title; a table is worth more whole, and has its section's name.
        together = start if title_start is None or element.kind is ElementKind.TABLE else title_start
        if fits(measured, together, end, limits):
            yield Piece(start, end, own[0].strength)
        else:
            yield from own
        if element.kind is not ElementKind.TITLE:
            title_start = None
        elif title_start is None:
            title_start = start


def _by_element(pieces: Sequence[Piece], spans: Sequence[ElementSpan]) -> Iterator[tuple[Element, list[Piece]]]:
    following = 0
    for index, span in enumerate(spans):
        limit = spans[index + 1].start if index + 1 < len(spans) else None
        own = []
        while following < len(pieces) and (limit is None or pieces[following].start < limit):
            own.append(pieces[following])
            following += 1
        if own:
            yield span.element, own


def _sections(blocks: Iterator[Piece]) -> Iterator[list[Piece]]:
    section: list[Piece] = []
    for block in blocks:
        if section and block.strength is Strength.SECTION:
            yield section
            section = []
        section.append(block)
    if section:
        yield section


def _packed(measured: MeasuredText, blocks: Sequence[Piece], limits: Limits) -> Iterator[Span]:
    first, start = 0, blocks[0].start
    while first < len(blocks):
        following = end_of_passage(measured, blocks, first, start, limits)
        yield start, blocks[following - 1].end
        if following < len(blocks):
            cut = blocks[following]
            is_inside = Strength.GLUED < cut.strength < Strength.ELEMENT
            start = start_of_overlap(measured, blocks, following, start, limits) if is_inside else cut.start
        first = following

"""Passages that end where the subject turns: neighbouring sentences are joined, the most alike first."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.chunking.limits import Limits, limits_of
from pipelines.chunking.measured import MeasuredText
from pipelines.chunking.passages import Span, passages_of
from pipelines.chunking.pieces import Piece, Strength, element_spans, fits, pieces_of
from pipelines.document import ChunkingConfig, Element, Passage, document_text
from pipelines.embedding.base import Embedder, Vectors

# Gaps wider than this share of all gaps of the document are turns of subject.
BREAKPOINT_PERCENTILE = 90.0
# Sentences on either side of a gap whose mean is compared, so that one odd sentence is no turn.
_WINDOW_SENTENCES = 2
# A passage smaller than this share of the limit joins a neighbour, turn or not.
_LEAST_SHARE = 0.25
# Finding the turns reads no text twice, and of a long document only so many tokens: past `_MAX_UNITS` sentences are
# taken together, and of each unit only the beginning is read.
_MAX_UNITS = 2_000
_TOKENS_READ = 128_000
_LEAST_TOKENS_READ = 8


class SemanticChunker:
    """`overlap_tokens` is not used: a passage that begins where the subject turns needs nothing of the one before."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def split(self, elements: Sequence[Element], config: ChunkingConfig) -> list[Passage]:
        limits = limits_of(config, self._embedder)
        measured = MeasuredText(document_text(elements), self._embedder)
        spans = element_spans(elements)
        units = _bounded(measured, pieces_of(measured, spans, limits), limits)
        joined = _joined(measured, units, self._gaps(measured, units), limits)
        return passages_of(measured.text, joined, spans, self._embedder, limits)

    def _gaps(self, measured: MeasuredText, units: Sequence[Piece]) -> NDArray[np.float64]:
        """Return the cosine distance across each of the len(units) - 1 boundaries."""
        if len(units) < 2:
            return np.empty(0)
        tokens_read = max(_LEAST_TOKENS_READ, _TOKENS_READ // len(units))
        texts = []
        for unit in units:
            end = measured.reach(unit.start, tokens_read, unit.end - unit.start)
            texts.append(measured.text[unit.start : min(end, unit.end)])
        return gap_distances(self._embedder.embed(texts))


def gap_distances(vectors: Vectors) -> NDArray[np.float64]:
    """Return 1 - cosine between the means of the vectors before and after each gap; (n, d) to (n - 1,)."""
    count = len(vectors)
    sums = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(vectors, axis=0, dtype=np.float64)])
    gaps = np.arange(1, count)
    before = sums[gaps] - sums[np.maximum(gaps - _WINDOW_SENTENCES, 0)]
    after = sums[np.minimum(gaps + _WINDOW_SENTENCES, count)] - sums[gaps]
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    # Rounded: vectors of the same text differ in the last bits with the batch they were computed in.
    distances: NDArray[np.float64] = np.round(1.0 - (before * after).sum(axis=1) / np.maximum(lengths, 1e-12), 5)
    return distances


def _bounded(measured: MeasuredText, pieces: Sequence[Piece], limits: Limits) -> list[Piece]:
    """Return about `_MAX_UNITS` pieces at most where that can be: a unit never exceeds a passage or a section."""
    if len(pieces) <= _MAX_UNITS:
        return list(pieces)
    wanted = min(limits.tokens, -(-measured.tokens(0, len(measured.text)) // _MAX_UNITS) * 2)
    taken = [pieces[0]]
    for piece in pieces[1:]:
        last = taken[-1]
        small = measured.tokens(last.start, piece.end) <= wanted and piece.end - last.start <= limits.characters
        if small and piece.strength is not Strength.SECTION:
            taken[-1] = Piece(last.start, piece.end, last.strength)
        else:
            taken.append(piece)
    return taken


def _joined(measured: MeasuredText, units: Sequence[Piece], gaps: NDArray[np.float64], limits: Limits) -> list[Span]:
    """Return the units joined over their narrowest gaps first, never over a turn unless one side is tiny."""
    groups = _Groups(measured, units, limits)
    widths = [
        -1.0 if unit.strength is Strength.GLUED else float(gap) for unit, gap in zip(units[1:], gaps, strict=True)
    ]
    order = sorted(range(len(widths)), key=lambda index: (widths[index], index))
    turn = float(np.percentile(gaps, BREAKPOINT_PERCENTILE)) if len(gaps) else 0.0
    for index in order:
        if widths[index] <= turn:
            groups.join_across(index)
    for index in order:
        if groups.smaller_side(index) < _LEAST_SHARE * limits.tokens:
            groups.join_across(index)
    return groups.spans()


class _Groups:
    """Runs of neighbouring units; only the first and last unit of a run know the run's other end."""

    def __init__(self, measured: MeasuredText, units: Sequence[Piece], limits: Limits) -> None:
        self._measured, self._units, self._limits = measured, units, limits
        self._first = list(range(len(units)))
        self._last = list(range(len(units)))

    def join_across(self, gap: int) -> None:
        """Join the run that ends with unit `gap` to the run that begins after it, where both fit in one passage."""
        first, last = self._first[gap], self._last[gap + 1]
        if self._last[first] != gap:
            return
        if fits(self._measured, self._units[first].start, self._units[last].end, self._limits):
            self._last[first], self._first[last] = last, first

    def smaller_side(self, gap: int) -> int:
        """Return the tokens of the smaller of the two runs that meet at `gap`."""
        middle = self._units[gap].end
        before = self._measured.tokens(self._units[self._first[gap]].start, middle)
        after = self._measured.tokens(middle, self._units[self._last[gap + 1]].end)
        return min(before, after)

    def spans(self) -> list[Span]:
        spans, index = [], 0
        while index < len(self._units):
            last = self._last[index]
            spans.append((self._units[index].start, self._units[last].end))
            index = last + 1
        return spans

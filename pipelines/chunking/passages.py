"""Spans become passages: trimmed, proved to fit when tokenised alone, numbered, and given their page and section."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from pipelines.chunking.base import Tokenizer
from pipelines.chunking.limits import Limits
from pipelines.chunking.pieces import ElementSpan
from pipelines.document import Passage

Span = tuple[int, int]


def passages_of(
    text: str, spans: Iterable[Span], elements: Sequence[ElementSpan], tokenizer: Tokenizer, limits: Limits
) -> list[Passage]:
    """Return a passage for each span, in order; one that brings nothing new is left out."""
    starts = [element.start for element in elements]
    passages: list[Passage] = []
    covered = 0
    for start, end, tokens in _proved(text, spans, tokenizer, limits):
        if end <= covered:
            continue
        covered = end
        first = elements[bisect_right(starts, start) - 1].element
        passages.append(
            Passage(
                position=len(passages),
                text=text[start:end],
                start=start,
                end=end,
                tokens=tokens,
                page=first.page,
                section=first.section,
            )
        )
    return passages


def _proved(text: str, spans: Iterable[Span], tokenizer: Tokenizer, limits: Limits) -> Iterator[tuple[int, int, int]]:
    """Yield (start, end, tokens), every span trimmed and cut until it fits by itself.

    A span alone can have more tokens than it had inside the text: the rest of a word that was cut is spelled with
    other word pieces, and a word too long for the model to know becomes readable once it is shorter.
    """
    waiting: list[Span] = []
    for span in spans:
        waiting.append(span)
        while waiting:
            start, end = _trimmed(text, *waiting.pop())
            if start == end:
                continue
            alone = tokenizer.token_spans(text[start:end])
            if len(alone) <= limits.tokens or end - start == 1:
                yield start, end, len(alone)
                continue
            cut = start + max(1, alone[limits.tokens][0])
            waiting += [(cut, end), (start, cut)]


def _trimmed(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    begin = start + len(piece) - len(piece.lstrip())
    return begin, max(begin, start + len(piece.rstrip()))

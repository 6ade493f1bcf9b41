"""Windows of equal length, whatever the text's structure; cut between words where there are any."""

from collections.abc import Iterator, Sequence

from pipelines.chunking.base import Tokenizer
from pipelines.chunking.limits import Limits, limits_of
from pipelines.chunking.measured import MeasuredText
from pipelines.chunking.passages import Span, passages_of
from pipelines.chunking.pieces import element_spans
from pipelines.document import ChunkingConfig, Element, Passage, document_text


class FixedChunker:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def split(self, elements: Sequence[Element], config: ChunkingConfig) -> list[Passage]:
        limits = limits_of(config, self._tokenizer)
        measured = MeasuredText(document_text(elements), self._tokenizer)
        windows = _windows(measured, limits)
        return passages_of(measured.text, windows, element_spans(elements), self._tokenizer, limits)


def _windows(measured: MeasuredText, limits: Limits) -> Iterator[Span]:
    start = end = 0
    while end < len(measured.text):
        reached = measured.reach(start, limits.tokens, limits.characters)
        if reached <= end:
            # The overlap alone fills the window up to its last blank: begin where the window before ended.
            start, reached = end, measured.reach(end, limits.tokens, limits.characters)
        end = reached
        yield start, end
        start = measured.tail(end, limits.overlap, not_before=start + 1)

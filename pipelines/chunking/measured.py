"""A text with its tokens located, so that any span's length in tokens is two look-ups."""

from bisect import bisect_left
from itertools import accumulate

from pipelines.chunking.base import Tokenizer

# How far back from a full window a cut looks for a blank, before it cuts inside a word.
_LOOK_BACK_TOKENS = 24


class MeasuredText:
    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.text = text
        spans = tokenizer.token_spans(text)
        # Unicode normalisation may swap neighbouring marks; a running maximum keeps the look-ups valid.
        self._starts = list(accumulate((start for start, _ in spans), max))

    def tokens(self, start: int, end: int) -> int:
        """Return how many tokens begin in [start, end)."""
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)

    def reach(self, start: int, tokens: int, characters: int) -> int:
        """Return the furthest end of a span from `start` within both bounds, after a blank where one is near."""
        first = bisect_left(self._starts, start)
        last = first + tokens
        end = len(self.text) if last >= len(self._starts) else max(self._starts[last], start + 1)
        if end > start + characters:
            return self._after_blank(start, start + characters)
        if end == len(self.text):
            return end
        nearest = self._starts[max(first + 1, last - _LOOK_BACK_TOKENS)]
        return self._after_blank(max(start, nearest - 1), end)

    def tail(self, end: int, tokens: int, not_before: int) -> int:
        """Return the earliest start of a span to `end` of at most `tokens` tokens, after a blank where one is near."""
        last = bisect_left(self._starts, end)
        first = max(last - tokens, bisect_left(self._starts, not_before))
        if first >= last:
            return end
        # Tokens that share their character with the one before stay with it.
        while 0 < first < last and self._starts[first] == self._starts[first - 1]:
            first += 1
        for index in range(first, min(last, first + _LOOK_BACK_TOKENS)):
            if self.text[self._starts[index] - 1].isspace():
                return self._starts[index]
        return self._starts[first] if first < last else end

    def _after_blank(self, start: int, end: int) -> int:
        """Return the last position in (start, end] that follows a blank, or `end` where none does."""
        for position in range(end, start, -1):
            if self.text[position - 1].isspace():
                return position
        return end

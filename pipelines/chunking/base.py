"""What a chunker is: elements in, passages out, never longer than the embedder can read."""

from collections.abc import Sequence
from typing import Protocol

from pipelines.document import ChunkingConfig, Element, Passage


class Tokenizer(Protocol):
    """The embedder's own tokenizer, as far as cutting needs it."""

    max_tokens: int
    """Content tokens one text may have before the embedder would cut it silently (special tokens excluded)."""

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the (start, end) character offsets of each content token of `text`, in order."""


class Chunker(Protocol):
    def split(self, elements: Sequence[Element], config: ChunkingConfig) -> list[Passage]:
        """Return passages in reading order, positions 0..n-1.

        Each is `document_text(elements)[start:end]`, not blank, of at most
        `min(config.chunk_tokens, tokenizer.max_tokens)` tokens. Every non-blank character of the document's
        text lies in at least one passage. The same input gives the same output.
        """

"""What every chunker promises of its passages, as one check that names the broken promise."""

from collections.abc import Sequence

from pipelines.chunking.base import Tokenizer
from pipelines.document import ChunkingConfig, Element, Passage, document_text


def assert_promises_kept(
    passages: Sequence[Passage], elements: Sequence[Element], config: ChunkingConfig, tokenizer: Tokenizer
) -> None:
    text = document_text(elements)
    covered = bytearray(len(text))
    for position, passage in enumerate(passages):
        assert passage.position == position
        assert passage.text == text[passage.start : passage.end]
        assert passage.text.strip(), "a passage is never blank"
        # Tokenised alone, as the embedder will: a span inside the text may count differently.
        assert passage.tokens == len(tokenizer.token_spans(passage.text))
        assert passage.tokens <= min(config.chunk_tokens, tokenizer.max_tokens)
        covered[passage.start : passage.end] = b"\x01" * len(passage.text)
    ends = [passage.end for passage in passages]
    assert ends == sorted(set(ends)), "every passage brings something new"
    lost = [place for place, character in enumerate(text) if not covered[place] and not character.isspace()]
    assert not lost, f"{len(lost)} characters are in no passage, the first at {lost[0]}"
    for passage in passages:
        assert (passage.page, passage.section) == _origin(elements, passage.start)


def _origin(elements: Sequence[Element], place: int) -> tuple[int | None, str | None]:
    end = 0
    for element in elements:
        end += len(element.text) + len("\n\n")
        if place < end:
            return element.page, element.section
    raise AssertionError("the passage begins after the text")

"""What all chunkers promise, over texts drawn to break them."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ValidationFailed
from pipelines.chunking import CHUNKERS, chunkers_for
from pipelines.chunking.limits import check_config
from pipelines.document import ChunkingConfig, ChunkingStrategy, Element
from pipelines.embedding.hashed import HashEmbedder
from tests.factories.elements import chunking_configs, config, elements, paragraph
from tests.factories.passages import assert_promises_kept

EMBEDDER = HashEmbedder(dimensions=32)


@pytest.mark.parametrize("strategy", ChunkingStrategy)
@given(document=st.lists(elements, max_size=6), options=chunking_configs())
@settings(max_examples=120, deadline=None)
def test_passages_are_exact_bounded_and_cover_the_text(
    strategy: ChunkingStrategy, document: Sequence[Element], options: ChunkingConfig
) -> None:
    """Whatever the text, passages are spans of it, fit the limit when read alone, and lose no character."""
    passages = chunkers_for(EMBEDDER)[strategy].split(document, options)
    assert_promises_kept(passages, document, options, EMBEDDER)


@pytest.mark.parametrize("strategy", ChunkingStrategy)
@given(document=st.lists(elements, max_size=4), options=chunking_configs())
@settings(max_examples=30, deadline=None)
def test_the_same_input_gives_the_same_passages(
    strategy: ChunkingStrategy, document: Sequence[Element], options: ChunkingConfig
) -> None:
    """A document that is taken up by a second worker is cut where the first one cut it."""
    first, second = chunkers_for(EMBEDDER), chunkers_for(HashEmbedder(dimensions=32))
    assert first[strategy].split(document, options) == second[strategy].split(document, options)


@pytest.mark.parametrize("strategy", ChunkingStrategy)
@pytest.mark.parametrize("document", [[], [paragraph("")], [paragraph(" \n\n\t "), paragraph("\n")]])
def test_a_document_without_text_has_no_passages(strategy: ChunkingStrategy, document: list[Element]) -> None:
    """Nothing but blanks makes no passage, and no error either: that is for the caller to say."""
    assert chunkers_for(EMBEDDER)[strategy].split(document, ChunkingConfig()) == []


@pytest.mark.parametrize("strategy", ChunkingStrategy)
def test_blanks_by_the_megabyte_do_not_make_a_passage_of_a_megabyte(strategy: ChunkingStrategy) -> None:
    """Length is bounded too, and runs of blanks, stops or one endless word cost linear time."""
    text = "word" + " " * 400_000 + "word" + "." * 400_000 + "x" * 200_000
    passages = chunkers_for(EMBEDDER)[strategy].split([paragraph(text)], config(50))
    assert max(len(passage.text) for passage in passages) <= 50 * 20


def test_every_strategy_of_the_reference_has_a_chunker() -> None:
    """A strategy that a request may name is one that can be made."""
    assert set(CHUNKERS) == set(ChunkingStrategy)


@pytest.mark.parametrize(
    ("chunk_tokens", "overlap_tokens", "pointers"),
    [
        (0, 0, ["/chunk_tokens", "/overlap_tokens"]),
        (-5, -1, ["/chunk_tokens", "/overlap_tokens"]),
        (100, 100, ["/overlap_tokens"]),
        (255, 0, ["/chunk_tokens"]),
        (300, 301, ["/overlap_tokens", "/chunk_tokens"]),
    ],
)
def test_options_that_cannot_be_honoured_are_named(chunk_tokens: int, overlap_tokens: int, pointers: list[str]) -> None:
    """Each fault has its pointer, so that one answer tells all there is to mend."""
    with pytest.raises(ValidationFailed) as raised:
        check_config(config(chunk_tokens, overlap_tokens), EMBEDDER)
    assert [violation["pointer"] for violation in raised.value.details["violations"]] == pointers


def test_options_at_their_limits_are_accepted() -> None:
    """The window itself is a legal size, and so is an overlap of all but one token."""
    check_config(config(254, 253), EMBEDDER)
    check_config(config(4, 0), EMBEDDER)


@pytest.mark.parametrize("strategy", ChunkingStrategy)
def test_splitting_refuses_what_makes_no_sense(strategy: ChunkingStrategy) -> None:
    """A chunker handed an overlap as long as the passage says so instead of never ending."""
    with pytest.raises(ValidationFailed):
        chunkers_for(EMBEDDER)[strategy].split([paragraph("some text")], config(10, 10))


@pytest.mark.parametrize("strategy", ChunkingStrategy)
def test_a_size_above_the_window_is_lowered_to_it(strategy: ChunkingStrategy) -> None:
    """A job made for an embedder with a longer window is cut to the one at work."""
    narrow = HashEmbedder(dimensions=32, max_tokens=20)
    passages = chunkers_for(narrow)[strategy].split([paragraph("word " * 300)], config(200, 30))
    assert max(passage.tokens for passage in passages) <= 20

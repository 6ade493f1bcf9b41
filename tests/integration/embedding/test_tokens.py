"""The model's tokenizer: offsets that count as Python does, and chunkers held to their promises with it."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.chunking.fixed import FixedChunker
from pipelines.chunking.recursive import RecursiveChunker
from pipelines.chunking.semantic import SemanticChunker
from pipelines.document import ChunkingConfig, Element
from pipelines.embedding.local import LocalEmbedder
from pipelines.embedding.tokenizer import WordPieceTokenizer
from pipelines.embedding.weights import find_model
from tests.factories.elements import chunking_configs, elements, paragraph
from tests.factories.passages import assert_promises_kept

TOKENIZER = WordPieceTokenizer(find_model().tokenizer)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Embeddings are due.", ["Em", "bed", "ding", "s", "are", "due", "."]),
        ("😀 𝔘nicode 𐐷 end", ["😀", "𝔘nicode", "𐐷", "end"]),
        ("naïve café", ["naïve", "café"]),
        ("日本語", ["日", "本", "語"]),
        ("a \ud800 end", ["a", "end"]),
        ("\x00 end", ["end"]),
    ],
)
def test_spans_are_character_offsets(text: str, pieces: list[str]) -> None:
    """Slicing the text by a span gives the token, also after characters beyond the basic plane."""
    assert [text[start:end] for start, end in TOKENIZER.token_spans(text)] == pieces


def test_decomposed_syllables_share_their_character() -> None:
    """A Hangul syllable is three tokens in one place."""
    assert TOKENIZER.token_spans("한") == [(0, 1)] * 3


def test_accents_written_apart_shift_nothing() -> None:
    """Combining marks are stripped by the model and still counted as characters."""
    text = "cafe\u0301 e\u0301te\u0301 end"
    start, end = TOKENIZER.token_spans(text)[-1]
    assert text[start:end] == "end"


def test_long_texts_are_not_cut() -> None:
    """The spans of a text far above the window reach to its end, in time that grows with its length only."""
    text = "These are words, 12 of them 😀. " * 20_000
    began = time.process_time()
    spans = TOKENIZER.token_spans(text)
    assert time.process_time() - began < 10
    assert text[slice(*spans[-1])] == "."
    assert spans[-1][1] == len(text.rstrip())


@given(text=st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_spans_lie_in_the_text(text: str) -> None:
    """Every span is a non-empty slice of the text, in order."""
    spans = TOKENIZER.token_spans(text)
    assert all(0 <= start < end <= len(text) for start, end in spans)


@pytest.mark.parametrize("chunker", [FixedChunker(TOKENIZER), RecursiveChunker(TOKENIZER)])
@given(document=st.lists(elements, max_size=6), options=chunking_configs())
@settings(max_examples=150, deadline=None)
def test_chunkers_keep_their_promises_with_the_real_tokenizer(
    chunker: FixedChunker | RecursiveChunker, document: Sequence[Element], options: ChunkingConfig
) -> None:
    """Word pieces change where a word is cut; passages fit the window all the same."""
    assert_promises_kept(chunker.split(document, options), document, options, TOKENIZER)


def test_semantic_passages_keep_their_promises_with_the_real_model(embedder: LocalEmbedder) -> None:
    """Cats and bonds part by meaning, not by shared words."""
    cats = "The kitten purrs on the sofa. Felines groom themselves for hours. My pet chases mice at night. "
    bonds = "Treasury yields climbed in March. Investors sold government debt. The central bank raised rates. "
    document, options = [paragraph(cats + bonds)], ChunkingConfig(chunk_tokens=48, overlap_tokens=0)
    passages = SemanticChunker(embedder).split(document, options)
    assert_promises_kept(passages, document, options, embedder)
    assert [passage.text for passage in passages] == [cats.strip(), bonds.strip()]

"""Windows of equal length."""

from itertools import pairwise

from pipelines.chunking.fixed import FixedChunker
from pipelines.embedding.hashed import HashEmbedder
from tests.factories.elements import config, paragraph

TOKENIZER = HashEmbedder()
WORDS = " ".join(f"word{number}" for number in range(1_000))


def test_windows_are_full() -> None:
    """All windows but the last have exactly the tokens asked for."""
    passages = FixedChunker(TOKENIZER).split([paragraph(WORDS)], config(90))
    assert [passage.tokens for passage in passages] == [90] * 11 + [10]


def test_neighbours_share_the_overlap() -> None:
    """Each window begins with the last words of the one before."""
    passages = FixedChunker(TOKENIZER).split([paragraph(WORDS)], config(90, 30))
    for before, after in pairwise(passages):
        shared = WORDS[after.start : before.end]
        assert len(shared.split()) == 30
        assert before.text.endswith(shared)
        assert after.text.startswith(shared)


def test_words_are_kept_whole_where_there_are_blanks() -> None:
    """A window ends before a word it cannot hold: here every word is a letter, a hyphen and a letter."""
    passages = FixedChunker(TOKENIZER).split([paragraph("a-b " * 100)], config(10))
    assert all(passage.text.split() == ["a-b"] * len(passage.text.split()) for passage in passages)


def test_text_without_blanks_is_cut_all_the_same() -> None:
    """Scripts without spaces are cut between tokens."""
    passages = FixedChunker(TOKENIZER).split([paragraph("。" * 100)], config(30))
    assert [passage.tokens for passage in passages] == [30, 30, 30, 10]

"""Whole sentences, and structure before length."""

from itertools import pairwise

from pipelines.chunking.recursive import RecursiveChunker
from pipelines.document import Element, ElementKind
from pipelines.embedding.hashed import HashEmbedder
from tests.factories.elements import config, paragraph, title

CHUNKER = RecursiveChunker(HashEmbedder())


def sentences(count: int, words: int = 9) -> str:
    """Sentences of `words` words and a full stop: `words + 1` tokens each."""
    return " ".join(" ".join([f"s{number}"] * words) + "." for number in range(count))


def test_sentences_stay_whole() -> None:
    """A passage ends where a sentence does as long as sentences fit."""
    passages = CHUNKER.split([paragraph(sentences(30))], config(45))
    assert all(passage.text.endswith(".") for passage in passages)
    assert {passage.tokens for passage in passages[:-1]} == {40}


def test_small_elements_are_merged() -> None:
    """Short paragraphs share a passage instead of making one each."""
    passages = CHUNKER.split([paragraph("one two three.") for _ in range(10)], config(40))
    assert len(passages) == 1


def test_a_title_stays_with_what_it_announces() -> None:
    """A passage never ends with a title while there is text to follow."""
    elements = [paragraph(sentences(3)), title("Second part"), paragraph(sentences(3))]
    passages = CHUNKER.split(elements, config(35))
    assert [passage.text.startswith("Second part") for passage in passages] == [False, True]
    assert passages[1].text.endswith(".")


def test_a_full_enough_passage_ends_before_a_new_section() -> None:
    """Sections are not mixed for the sake of a few more tokens, and no overlap reaches back over their border."""
    elements = [title("One", page=1), paragraph(sentences(4), page=1, section="One")]
    elements += [title("Two", page=2), paragraph(sentences(4), page=2, section="Two")]
    passages = CHUNKER.split(elements, config(60, 20))
    assert [(passage.section, passage.page) for passage in passages] == [("One", 1), ("Two", 2)]


def test_a_paragraph_border_is_preferred_to_a_sentence() -> None:
    """Among the ends in reach the strongest wins, even if one more sentence would fit."""
    text = sentences(3) + "\n\n" + sentences(3)
    passages = CHUNKER.split([paragraph(text)], config(45))
    assert [passage.text for passage in passages] == text.split("\n\n")


def test_overlap_is_made_of_whole_sentences() -> None:
    """The overlap begins where a sentence begins, with as many as fit."""
    passages = CHUNKER.split([paragraph(sentences(30))], config(50, 25))
    for before, after in pairwise(passages):
        shared = before.text[after.start - before.start :]
        assert shared.startswith("s")
        assert len(shared.split()) == 18, "two sentences of nine words"


def test_a_sentence_longer_than_the_overlap_lends_its_last_words() -> None:
    """Where no whole sentence fits the overlap, it is made of words."""
    passages = CHUNKER.split([paragraph(sentences(10, words=30))], config(40, 8))
    for before, after in pairwise(passages):
        assert 0 < len(before.text[after.start - before.start :].split()) <= 8


def test_a_long_sentence_is_cut_at_its_clauses() -> None:
    """A sentence too long for a passage is cut after a comma, not in mid-clause."""
    text = ", ".join(" ".join(["word"] * 7) for _ in range(12)) + "."
    passages = CHUNKER.split([paragraph(text)], config(30))
    assert all(passage.text.endswith((",", ".")) for passage in passages)


def test_abbreviations_and_initials_end_no_sentence() -> None:
    """'Mr.', 'e.g.' and 'J. R.' are not taken for the end of a sentence."""
    text = "He met Mr. Smith and J. R. Jones, e.g. at noon. Then they left for home again quickly."
    passages = CHUNKER.split([paragraph(text)], config(20))
    assert [passage.text.split()[-1] for passage in passages] == ["noon.", "quickly."]


def test_east_asian_sentences_need_no_blank() -> None:
    """A full-width stop ends a sentence by itself."""
    chunker = RecursiveChunker(_CharacterTokenizer())
    passages = chunker.split([paragraph("これは文です。次の文です。終わり。")], config(8))
    assert [passage.text for passage in passages] == ["これは文です。", "次の文です。", "終わり。"]


def test_code_is_cut_at_lines() -> None:
    """A full stop in code ends nothing; its lines are kept whole."""
    code = "\n".join(f"module.call({number}). then. go" for number in range(40))
    passages = CHUNKER.split([Element(kind=ElementKind.CODE, text=code)], config(60))
    assert all(passage.text.endswith("go") for passage in passages)


class _CharacterTokenizer:
    max_tokens = 254

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        return [(place, place + 1) for place, character in enumerate(text) if not character.isspace()]

"""Passages that follow the document's own structure."""

from itertools import pairwise

from pipelines.chunking.structure import StructureChunker
from pipelines.document import Element, ElementKind
from pipelines.embedding.hashed import HashEmbedder
from tests.factories.elements import config, paragraph, title

CHUNKER = StructureChunker(HashEmbedder())


def words(count: int, word: str = "word") -> str:
    return " ".join([word] * count)


def sentences(count: int) -> str:
    """Sentences of nine words and a full stop: ten tokens each."""
    return " ".join(words(9, f"s{number}") + "." for number in range(count))


def table(rows: int) -> Element:
    """Eight tokens a row."""
    return Element(kind=ElementKind.TABLE, text="\n".join("cell | cell | cell | cell |" for _ in range(rows)))


def test_sections_are_never_mixed() -> None:
    """However small they are, each section is a passage of its own and knows its path."""
    elements = [title("One"), paragraph("A word.", section="One"), title("Two"), paragraph("Another.", section="Two")]
    passages = CHUNKER.split(elements, config(100, 20))
    assert [passage.section for passage in passages] == ["One", "Two"]
    assert passages[0].text == "One\n\nA word."


def test_titles_that_follow_each_other_announce_together() -> None:
    """A heading right under a heading makes no passage of a heading alone."""
    passages = CHUNKER.split([title("Part"), title("Chapter"), paragraph("The text.")], config(100))
    assert [passage.text for passage in passages] == ["Part\n\nChapter\n\nThe text."]


def test_a_table_that_fits_is_kept_whole() -> None:
    """The paragraph before it ends the passage early, where a full passage would cut the table."""
    grid = table(6)
    passages = CHUNKER.split([paragraph(sentences(4)), grid, paragraph(sentences(2))], config(60, 20))
    assert [passage.text for passage in passages if "cell" in passage.text] == [grid.text]


def test_a_table_is_not_cut_for_its_title() -> None:
    """Where both do not fit together, the title stands alone and the table stays whole."""
    grid = table(6)
    passages = CHUNKER.split([title(words(20, "heading")), grid], config(50))
    assert [passage.text for passage in passages] == [words(20, "heading"), grid.text]


def test_a_table_too_long_is_cut_between_its_rows() -> None:
    """No row is torn apart."""
    passages = CHUNKER.split([table(40)], config(60))
    assert all(line == "cell | cell | cell | cell |" for passage in passages for line in passage.text.split("\n"))
    assert len(passages) > 1


def test_a_long_title_keeps_the_beginning_of_its_text() -> None:
    """A paragraph that does not fit with its title gives up its first sentences to it."""
    passages = CHUNKER.split([title("Heading"), paragraph(sentences(5))], config(50))
    assert passages[0].text.startswith("Heading\n\ns0")
    assert len(passages) == 2


def test_paragraphs_that_fit_are_not_cut() -> None:
    """Whole paragraphs are packed together; none is torn to fill a passage, and none shares words with the next."""
    texts = [sentences(count) for count in (3, 4, 2, 5)]
    passages = CHUNKER.split([paragraph(text) for text in texts], config(60, 20))
    assert [passage.text for passage in passages] == [texts[0], f"{texts[1]}\n\n{texts[2]}", texts[3]]


def test_only_parts_of_a_long_paragraph_overlap() -> None:
    """What is too long is cut between sentences, as the recursive chunker does, overlap and all."""
    passages = CHUNKER.split([paragraph(sentences(20)), paragraph("Short.")], config(60, 20))
    shared = [before.end - after.start for before, after in pairwise(passages)]
    assert all(count > 0 for count in shared[:-1])
    assert all(passage.text.endswith(".") for passage in passages)

"""Markdown is cut so that no piece takes long, and what nobody writes is taken as text."""

import pytest

from pipelines.document import ElementKind, SourceFile
from pipelines.parsing.markdown_pieces import pieces
from pipelines.parsing.markup import read_markdown


def read(text: str) -> list[tuple[ElementKind, str]]:
    return [(element.kind, element.text) for element in read_markdown(SourceFile(name="a.md", content=text.encode()))]


@pytest.mark.parametrize(
    "text",
    [
        "# One\n\nA sentence with a [link](there) and `code`.\n\n- a\n\n  b\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
        "```cpp\n" + "vector<vector<[[[\n\n" * 200 + "```\n\nText.\n",
        "- [one](1)\n" * 2_000,
    ],
)
def test_what_people_write_is_one_piece(text: str) -> None:
    """Up to its usual length a text is handed on whole, whatever its fences hold."""
    assert list(pieces(text)) == [(True, text)]


@pytest.mark.parametrize(
    "knot",
    [
        "[" * 8_000,
        ("[" * 79 + "\n") * 50,
        "![" * 4_000,
        "[a](" * 3_000,
        "[" * 60 + "a" + "](b)" * 60,
        "<a " * 3_000,
        ">" * 60 + " quoted",
        " ".join("`" * length for length in range(1, 120)),
        "*a **b " * 2_000,
    ],
)
def test_knot_is_text_and_its_neighbours_are_markdown(knot: str) -> None:
    """What would take the library minutes comes out as it stands, between a title and a list that are known as such."""
    found = list(pieces(f"# The title\n\n{knot}\n\n- An item of a list\n"))
    assert [is_markdown for is_markdown, _ in found] == [True, False, True]
    assert found[1][1].strip() == knot.strip()


def test_list_of_fifty_levels_is_text() -> None:
    """Each level costs the library a call inside a call."""
    text = "".join(" " * 4 * level + "- deep\n" for level in range(60))
    assert list(pieces(text)) == [(False, text)]


def test_long_text_is_cut_between_paragraphs_and_loses_nothing() -> None:
    """Every section arrives with its title, in order; code and its blank lines stay whole."""
    section = (
        "## Section {0}\n\nThe sundial number {0} stands in the garden and is looked at.\n\n```\na{0}\n\nb{0}\n```\n\n"
    )
    text = "".join(section.format(number) for number in range(1_500))
    assert len(list(pieces(text))) > 1
    found = read(text)
    assert [text for kind, text in found if kind is ElementKind.TITLE] == [
        f"Section {number}" for number in range(1_500)
    ]
    assert [text for kind, text in found if kind is ElementKind.CODE] == [f"a{n}\n\nb{n}" for n in range(1_500)]


def test_link_finds_its_address_in_another_piece() -> None:
    """A link whose address is defined at the end of a long text is still a link, and the definition is no text."""
    filling = "A sentence stands here to fill the page.\n\n" * 4_000
    found = read(f"Read [the manual][m] first, please do.\n\n{filling}[m]: https://larkspur.example/manual\n")
    assert found[0][1] == "Read the manual first, please do."
    assert not any("larkspur.example" in text for _, text in found)

"""From unstructured's elements to ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unstructured.documents import elements as parsed

from core.errors import DocumentTooLarge, EmptyDocument
from pipelines.document import Element, ElementKind
from pipelines.parsing import elements
from pipelines.parsing.elements import clean, finished, from_unstructured


def text(words: str, kind: ElementKind = ElementKind.TEXT) -> Element:
    return Element(kind=kind, text=words)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (parsed.Title("x"), ElementKind.TITLE),
        (parsed.NarrativeText("x"), ElementKind.TEXT),
        (parsed.Text("x"), ElementKind.TEXT),
        (parsed.Address("x"), ElementKind.TEXT),
        (parsed.ListItem("x"), ElementKind.LIST_ITEM),
        (parsed.CodeSnippet("x"), ElementKind.CODE),
    ],
)
def test_kinds(found: parsed.Element, kind: ElementKind) -> None:
    """Each category of unstructured is one of our five kinds."""
    (element,) = from_unstructured([found])
    assert (element.kind, element.text) == (kind, "x")


@pytest.mark.parametrize("dropped", [parsed.Header, parsed.Footer, parsed.PageBreak, parsed.Image])
def test_what_repeats_on_every_page_is_dropped(dropped: type[parsed.Text]) -> None:
    """Headers, footers and the like say nothing about the page."""
    assert list(from_unstructured([dropped("Larkspur, page 3")])) == []


def test_given_page_outranks_found_page() -> None:
    """Who reads page by page knows the number better."""
    found = parsed.Text("x", metadata=parsed.ElementMetadata(page_number=1))
    assert [element.page for element in from_unstructured([found])] == [1]
    assert [element.page for element in from_unstructured([found], page=7)] == [7]


def test_table_keeps_its_cells() -> None:
    """Cells come from the HTML, markup within them does not."""
    metadata = parsed.ElementMetadata(
        text_as_html="<table><tr><th>Tag</th><th>By</th></tr><tr><td>LO-1</td><td>A &amp; <b>B</b></td></tr></table>",
        page_number=2,
    )
    (table,) = from_unstructured([parsed.Table("Tag By LO-1 A & B", metadata=metadata)])
    assert table == Element(kind=ElementKind.TABLE, text="Tag | By\nLO-1 | A & B", page=2)


def test_section_is_the_path_of_titles() -> None:
    """From the outermost to the nearest; a title of the same level or a higher one ends the section before."""

    def heading(words: str, level: int | None) -> Element:
        return Element(kind=ElementKind.TITLE, text=words, level=level)

    given = [heading("Guide", 0), heading("Install", 1), text("a"), heading("Linux", 3), text("b"), heading("Use", 1)]
    done = finished([*given, text("c"), heading("No level", None), text("d")])
    assert [element.section for element in done if element.kind is ElementKind.TEXT] == [
        "Guide > Install",
        "Guide > Install > Linux",
        "Guide > Use",
        "No level",
    ]
    assert {element.level for element in done} == {None}


def test_a_section_too_long_loses_its_outermost_titles() -> None:
    """What stays is the nearest title, cut if it is too long by itself."""
    long = [Element(kind=ElementKind.TITLE, text=letter * 150, level=level) for level, letter in enumerate("ab")]
    assert finished([*long, text("x")])[-1].section == "b" * 150
    assert finished([Element(kind=ElementKind.TITLE, text="c" * 500)])[-1].section == "c" * 200


def test_section_is_the_nearest_title() -> None:
    """A title is its own section; blank elements vanish; a section that is known stays."""
    known = Element(kind=ElementKind.TABLE, text="a | b", section="Loans")
    done = finished([text("before"), text("Dome", ElementKind.TITLE), text("\0 "), text(" inside "), known])
    assert [(element.text, element.section) for element in done] == [
        ("before", None),
        ("Dome", "Dome"),
        ("inside", "Dome"),
        ("a | b", "Loans"),
    ]


@pytest.mark.parametrize("nothing", [[], [text("")], [text(" \0\n")]])
def test_no_text_is_an_empty_document(nothing: list[Element]) -> None:
    """A document without a word is refused, not indexed as nothing."""
    with pytest.raises(EmptyDocument):
        finished(nothing)


def test_limits_stop_an_endless_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements are counted while they come: a parser that never ends is left."""
    monkeypatch.setattr(elements, "MAX_ELEMENTS", 10)
    with pytest.raises(DocumentTooLarge):
        finished(iter(lambda: text("again"), None))
    monkeypatch.setattr(elements, "MAX_ELEMENTS", 1_000)
    monkeypatch.setattr(elements, "MAX_TEXT_CHARACTERS", 99)
    with pytest.raises(DocumentTooLarge):
        finished(iter(lambda: text("x" * 50), None))


@given(st.text(alphabet=st.characters(), max_size=50))
def test_clean_text_fits_every_store(words: str) -> None:
    """No NUL, UTF-8 can hold it, no blanks around it; cleaning twice changes nothing."""
    cleaned = clean(words, ElementKind.TEXT)
    assert "\0" not in cleaned
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned == cleaned.strip() == clean(cleaned, ElementKind.TEXT)


def test_half_surrogates_are_replaced() -> None:
    """What Python can hold and UTF-8 cannot does not come through."""
    assert clean("dome \ud800 shut", ElementKind.TEXT) == "dome ? shut"

"""Pages are read for their words, not for their layout."""

from pipelines.document import ElementKind, SourceFile
from pipelines.parsing.markup import html_elements, read_html


def test_layout_table_is_taken_apart() -> None:
    """A table that arranges a page is the page's paragraphs."""
    cells = "<td><p>It is the first.</p></td><td><p>It is the second.</p></td>"
    nested = f"<table><tr><td><table><tr><td><h1>Dome</h1></td></tr><tr>{cells}</tr></table></td></tr></table>"
    elements = list(html_elements(nested))
    assert [element.text for element in elements] == ["Dome", "It is the first.", "It is the second."]
    assert ElementKind.TABLE not in {element.kind for element in elements}


def test_table_of_cells_stays_a_table() -> None:
    """Rows and columns are kept, and links in them too."""
    (table,) = html_elements(
        "<table><tr><th>Part</th><th>Shelf</th></tr><tr><td><a href=x>Fuse</a></td><td>R7</td></tr></table>"
    )
    assert (table.kind, table.text) == (ElementKind.TABLE, "Part | Shelf\nFuse | R7")


def test_words_parted_by_markup_alone_stay_apart() -> None:
    """A line break or the end of a paragraph is a blank when the tags are gone."""
    text = " ".join(element.text for element in html_elements("<p>The dome<br>is shut</p><p>The wind<br/>is up</p>"))
    assert text.split() == ["The", "dome", "is", "shut", "The", "wind", "is", "up"]


def test_scripts_and_styles_are_not_text() -> None:
    """What no reader sees is not found either."""
    page = "<style>p{color:red}</style><script>var secret=1</script><p>It is seen.</p><template>hidden</template>"
    assert [element.text for element in html_elements(page)] == ["It is seen."]


def test_declared_encoding_is_believed() -> None:
    """A page says in itself how it was written."""
    page = '<html><head><meta charset="iso-8859-2"></head><body><p>Łódź jest tu, że hej.</p></body></html>'
    (element,) = read_html(SourceFile(name="x.html", content=page.encode("iso-8859-2")))
    assert element.text == "Łódź jest tu, że hej."


def test_deeper_than_any_tree() -> None:
    """A page nested beyond what a tree can hold still gives its words."""
    (element,) = html_elements("<html><body>" + "<div>" * 30_000 + "deep words<script>no words</script>")
    assert element.text == "deep words"

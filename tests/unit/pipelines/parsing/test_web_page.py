"""A page fetched from the web is reduced to what its reader came for."""

from pipelines.document import ElementKind, SourceFile
from pipelines.parsing.read import read

ARTICLE = """
<article><h1>Crane manual</h1>
<p>The crane lifts up to four tonnes when all three outriders stand on firm ground; see
<a href="https://example.org/ground">the ground tables</a> first.</p>
<h2>Load table</h2><p>Loads fall with the reach of the arm, as the following table shows for still air.</p>
<table><tr><th>Reach</th><th>Load</th></tr><tr><td>5 m</td><td>4.0 t</td></tr>
<tr><td>10 m</td><td>1.9 t</td></tr></table>
<h2>Inspection</h2><ul><li>Check the rope every week.</li><li>Grease the drum every month.</li></ul>
<p>Whoever skips an inspection may not lift people, nor anything above people, until it has been made up for.</p>
</article>"""
AROUND = """<!doctype html><html><head><title>Crane manual – ACME</title></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/buy">Buy now</a></li></ul></nav>
<div class="cookie-banner">We use cookies. Accept all?</div>{}
<aside>Ten cranes you will not believe</aside><footer>© ACME. Imprint. Privacy.</footer></body></html>"""


def web(page: str, name: str = "page") -> SourceFile:
    return SourceFile(name=name, content=page.encode(), is_web_page=True)


def test_menus_banners_and_footers_are_left_out() -> None:
    """The article stays whole, with its titles, list, table and the words of its links; what is around it goes."""
    elements = read(web(AROUND.format(ARTICLE)))
    text = "\n".join(element.text for element in elements)
    for kept in ("four tonnes", "the ground tables", "Grease the drum", "made up for"):
        assert kept in text
    for gone in ("Buy now", "cookies", "will not believe", "Imprint"):
        assert gone not in text
    titles = [element.text for element in elements if element.kind is ElementKind.TITLE]
    assert titles == ["Crane manual", "Load table", "Inspection"]
    [table] = [element.text for element in elements if element.kind is ElementKind.TABLE]
    assert all(cell in table for cell in ("Reach", "5 m", "4.0 t", "1.9 t"))


def test_page_without_an_article_is_kept_whole() -> None:
    """Where nothing stands out, losing text would be worse than keeping a menu."""
    text = "\n".join(
        element.text for element in read(web("<html><body><div>Opening hours: 9 to 5</div></body></html>"))
    )
    assert "Opening hours: 9 to 5" in text


def test_posted_html_is_kept_whole() -> None:
    """Somebody who posts a page as a file means all of it."""
    file = SourceFile(name="page.html", content=AROUND.format(ARTICLE).encode())
    assert "Imprint" in "\n".join(element.text for element in read(file))


def test_other_files_from_the_web_are_read_by_their_content() -> None:
    """A URL may lead to Markdown or text as well."""
    [title, _] = read(web("# Cranes\n\nThey lift what is heavy.\n", "README.md"))
    assert (title.kind, title.text) == (ElementKind.TITLE, "Cranes")

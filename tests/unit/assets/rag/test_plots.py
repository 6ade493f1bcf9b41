"""Pictures hold what they are asked to show."""

import base64
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from assets.rag.plots import counts, histogram, trend

SVG = "{http://www.w3.org/2000/svg}"


def drawn(values: list[float], title: str = "Tokens", of: str = "tokens") -> ElementTree.Element:
    markdown = histogram(values, title=title, of=of).value or ""
    return ElementTree.fromstring(base64.b64decode(markdown.split("base64,")[1].removesuffix(")")))


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=200))
def test_bars_add_up_to_the_values(values: list[int]) -> None:
    """Every value is in exactly one bar, and the range is written below."""
    picture = drawn([float(value) for value in values])
    assert sum(int(title.text or 0) for title in picture.iter(f"{SVG}title")) == len(values)
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert texts == [f"Tokens (n = {len(values)})", f"{min(values):g}", "tokens", f"{max(values):g}"]


def test_labels_are_escaped() -> None:
    """A label is text, whatever is in it."""
    assert [text.text for text in drawn([1.0], of="<b> & co").iter(f"{SVG}text")][2] == "<b> & co"


def test_no_values_make_a_sentence() -> None:
    """With nothing to show there is no empty picture."""
    assert histogram([], title="Tokens", of="tokens").value == "_Tokens: nothing to show._"


def test_a_trend_has_a_point_for_every_number() -> None:
    """Higher is further up, and the last of each line is written below."""
    markdown = trend({"recall": [0.5, 1.0], "ndcg": [0.25]}, title="Golden questions").value or ""
    picture = ElementTree.fromstring(base64.b64decode(markdown.split("base64,")[1].removesuffix(")")))
    heights = [float(circle.attrib["cy"]) for circle in picture.iter(f"{SVG}circle")]
    assert heights[1] < heights[0] < heights[2]
    assert [text.text for text in picture.iter(f"{SVG}text")] == ["Golden questions", "recall 1.000, ndcg 0.250"]
    assert trend({"recall": []}, title="Golden questions").value == "_Golden questions: nothing to show._"


def test_counts_are_drawn_against_the_highest() -> None:
    """The highest of all reaches the top, and each line tells its last number in its own colour."""
    markdown = counts({"new": [4, 0], "deleted": [0, 2], "failed": [0, 0]}, title="Crawls").value or ""
    picture = ElementTree.fromstring(base64.b64decode(markdown.split("base64,")[1].removesuffix(")")))
    heights = [float(circle.attrib["cy"]) for circle in picture.iter(f"{SVG}circle")]
    assert heights[0] < heights[3] < heights[1] == heights[2] == heights[4]
    labels = {text.text: text.attrib["fill"] for text in picture.iter(f"{SVG}text")}
    assert list(labels) == ["Crawls", "highest 4", "new 0", "deleted 2", "failed 0"]
    assert len({labels[name] for name in ("new 0", "deleted 2", "failed 0")}) == 3
    assert counts({"new": []}, title="Crawls").value == "_Crawls: nothing to show._"

"""Bytes become text by mark, by UTF-8, or by the likeliest code page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.parsing.plain import decode


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("crème brûlée below the observatory", "cp1252"),
        ("The café serves crème brûlée to every tired astronomer who has been up all night.", "cp1252"),
        ("He said “hello” – and it’s fine to say so.", "cp1252"),
        ("Die Kuppel wird geöffnet, während der Wind über 50 km/h weht.", "cp1252"),
        ("Kopuła obserwatorium została otwarta, gdy wiatr ucichł. Źródło światła było słabe.", "cp1250"),
        ("Купол обсерватории открыт только ночью, когда нет ветра.", "cp1251"),
        ("天文台のドームは夜だけ開きます。風が強いときは閉めます。", "shift_jis"),
    ],
)
def test_likeliest_code_page(text: str, encoding: str) -> None:
    """Western text is cp1252 where several code pages fit; others are told by their letters."""
    assert decode(text.encode(encoding)) == text


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_unicode_is_read_back(text: str, encoding: str) -> None:
    """What is marked or is UTF-8 needs no guess."""
    if encoding == "utf-8" and text.startswith("\ufeff"):
        text = text.lstrip("\ufeff")
    assert decode(text.encode(encoding)) == text


@given(st.binary(max_size=200))
def test_any_bytes_become_text(content: bytes) -> None:
    """No bytes raise."""
    assert isinstance(decode(content), str)

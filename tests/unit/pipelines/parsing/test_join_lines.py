"""A PDF knows lines; paragraphs are guessed from their lengths and ends."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.parsing.lines import join_lines

LONG = "The shutter is closed when the wind has been above the limit"


def test_wrapped_lines_are_one_paragraph() -> None:
    """Lines of full length go on in the next."""
    assert join_lines(f"{LONG}\n{LONG}\nfor three minutes.") == f"{LONG} {LONG} for three minutes."


def test_short_line_is_a_heading() -> None:
    """A title is not part of what follows it."""
    assert join_lines(f"Weather limits\n{LONG}\n{LONG}") == f"Weather limits\n\n{LONG} {LONG}"


def test_numbered_heading_stands_alone() -> None:
    """A number before a title does not make it the beginning of the paragraph below."""
    assert join_lines(f"4. Weather limits\n{LONG}\n{LONG}") == f"4. Weather limits\n\n{LONG} {LONG}"


def test_list_items_begin_anew() -> None:
    """Each bullet is its own paragraph, and a wrapped one stays whole."""
    assert join_lines(f"{LONG}:\n- {LONG}\nand dries.\n- {LONG}") == f"{LONG}:\n\n- {LONG} and dries.\n\n- {LONG}"


def test_hyphen_at_the_end_joins_halves() -> None:
    """A word that was cut is whole again; a hyphen before a capital stays."""
    assert join_lines(f"{LONG} obser-\n{'vatory ' + LONG}") == f"{LONG} observatory {LONG}"
    assert join_lines(f"{LONG} X-\n{'Ray ' + LONG}") == f"{LONG} X- Ray {LONG}"


def test_blank_lines_part_paragraphs() -> None:
    """What the page parts stays parted."""
    assert join_lines(f"{LONG}\n\n{LONG}") == f"{LONG}\n\n{LONG}"


def test_nothing_stays_nothing() -> None:
    """A page without text has no paragraphs."""
    assert join_lines("") == join_lines(" \n\t\n") == ""


@given(st.lists(st.text(alphabet="abc DEF.,:12)•", max_size=60), max_size=20))
def test_no_letter_is_lost(lines: list[str]) -> None:
    """Only blanks and line ends change, as no line here ends in a hyphen."""
    text = "\n".join(lines)
    assert "".join(join_lines(text).split()) == "".join(text.split())

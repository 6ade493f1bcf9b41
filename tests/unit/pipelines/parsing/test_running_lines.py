"""Headers and footers run through the pages of a PDF; its text does not."""

from pipelines.parsing.pdf import without_running_lines


def test_header_and_footer_go() -> None:
    """Lines that differ in the number of their page alone are the same line."""
    text = [[f"{word} is shut.", f"{word} is wet."] for word in ("Dome", "Door", "Gate", "Vault")]
    pages = [["Larkspur manual", *lines, f"Page {number} of 4"] for number, lines in enumerate(text, start=1)]
    assert without_running_lines(pages) == text


def test_other_numbers_make_other_lines() -> None:
    """Each page of a pile of invoices keeps the number of its invoice."""
    pages = [[f"Invoice {4710 + page}", f"Sum {page}00.00 euros"] for page in range(1, 5)]
    assert without_running_lines(pages) == pages


def test_two_pages_prove_nothing() -> None:
    """What stands twice may be meant twice."""
    pages = [["Larkspur manual", "The dome is shut."], ["Larkspur manual", "The wind is up."]]
    assert without_running_lines(pages) == pages


def test_repeated_line_inside_the_page_stays() -> None:
    """Only the edges of a page hold headers and footers."""
    pages = [[f"a{letter}", f"b{letter}", "Warning", f"c{letter}", f"d{letter}"] for letter in "stuvw"]
    assert without_running_lines(pages) == pages


def test_page_of_nothing_else_is_empty() -> None:
    """A page may hold its number alone."""
    pages = [["Larkspur", "It is shut."], ["Larkspur"], ["Larkspur", "It is open."], []]
    assert without_running_lines(pages) == [["It is shut."], [], ["It is open."], []]


def test_pages_that_say_the_same_keep_it() -> None:
    """A document of nothing but running lines has a text all the same."""
    pages = [["Larkspur manual", "Draft"]] * 4
    assert without_running_lines(pages) == pages

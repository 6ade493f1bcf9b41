"""Tables keep their cells, and long ones are cut between rows."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.document import ElementKind
from pipelines.parsing.tables import row_text, table_elements

CELL = st.text(alphabet="abc 12\n", max_size=40)


def test_empty_cells_keep_their_place() -> None:
    """A column stays a column where a cell is missing; blanks within a cell are one."""
    assert row_text(["LO-104", "", "1998", " Store \n B "]) == "LO-104 |  | 1998 | Store B"


def test_table_without_text_is_nothing() -> None:
    """Empty rows and empty tables make no element."""
    assert list(table_elements([])) == []
    assert list(table_elements([["", ""], [" "]])) == []


def test_place_is_kept() -> None:
    """Every part knows page and section."""
    (element,) = table_elements([["Tag", "Room"], ["LO-101", "Cage"]], page=3, section="Inventory")
    assert (element.kind, element.page, element.section) == (ElementKind.TABLE, 3, "Inventory")
    assert element.text == "Tag | Room\nLO-101 | Cage"


def test_long_table_is_cut_under_its_heading() -> None:
    """Each part begins with the first row, and the rows are there once, in order."""
    rows = [[f"LO-{number}", "an instrument of many words " * 3] for number in range(100)]
    parts = [element.text.split("\n") for element in table_elements([["Tag", "Instrument"], *rows])]
    assert len(parts) > 5
    assert {part[0] for part in parts} == {"Tag | Instrument"}
    assert [line for part in parts for line in part[1:]] == [row_text(row) for row in rows]
    assert max(sum(map(len, part)) for part in parts) < 1_200


@given(st.lists(st.lists(CELL, min_size=1, max_size=4), max_size=60))
def test_no_row_is_lost(rows: list[list[str]]) -> None:
    """Whatever the rows: those with text come out once, in order, under the heading."""
    lines = [line for row in rows if (line := row_text(row)).strip(" |")]
    parts = [element.text.split("\n") for element in table_elements(rows)]
    assert [line for part in parts for line in part[1:]] == lines[1:]
    assert all(part[0] == lines[0] for part in parts)

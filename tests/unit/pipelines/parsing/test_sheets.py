"""Tables arrive cell by cell, with what stands around them."""

import datetime
import io

import openpyxl
import pytest

from pipelines.document import Element, ElementKind, SourceFile
from pipelines.parsing.sheets import read_csv, read_xlsx


def csv(text: str) -> list[Element]:
    return list(read_csv(SourceFile(name="x.csv", content=text.encode())))


def xlsx(**sheets: list[list[object]]) -> list[Element]:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    target = io.BytesIO()
    book.save(target)
    return list(read_xlsx(SourceFile(name="x.xlsx", content=target.getvalue())))


def test_cells_are_taken_at_their_word() -> None:
    """The text "NA" is a text, zeros lead, and a cell that looks like nothing is not taken for nothing."""
    (table,) = csv("id,code,rate\n007,NA,1.50\n008,null,None\n")
    assert table.text == "id | code | rate\n007 | NA | 1.50\n008 | null | None"
    assert table.kind is ElementKind.TABLE


def test_line_end_in_a_cell_is_a_blank() -> None:
    """A row stays on one line."""
    (table,) = csv('a,b\n"two\nlines",x\n')
    assert table.text == "a | b\ntwo lines | x"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found(delimiter: str) -> None:
    """What makes all lines equally wide parts the cells, though another mark stands in the texts."""
    rows = [("Name", "Fee"), ("Ada, Countess", "4"), ("Bob, Clerk; Scribe", "5")]
    quoted = "\n".join(delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in row) for row in rows)
    (table,) = csv(quoted)
    assert table.text == "Name | Fee\nAda, Countess | 4\nBob, Clerk; Scribe | 5"


def test_line_above_the_table_is_its_title() -> None:
    """A title does not become the width of the table."""
    title, table = csv("Star parties\n\nTime,Place\n18:30,Gatehouse\n")
    assert (title.kind, title.text) == (ElementKind.TITLE, "Star parties")
    assert table.text == "Time | Place\n18:30 | Gatehouse"


def test_unclosed_quote_does_not_make_a_line_an_element() -> None:
    """Everything after the quote is one cell, and costs as much as one."""
    elements = csv('a,b\n"unclosed ' + "x,y\n" * 20_000)
    assert len(elements) < 50


def test_blank_row_parts_two_tables() -> None:
    """Each of them has its own heading, its own width, and the sheet's name."""
    elements = xlsx(
        Loans=[
            ["Open"],
            ["Tag", None, "Until"],
            ["LO-1", None, "May"],
            [],
            ["Fee", "Sum"],
            ["Late", 2],
            ["Paid in cash."],
        ]
    )
    assert [(element.kind, element.text) for element in elements] == [
        (ElementKind.TITLE, "Open"),
        (ElementKind.TABLE, "Tag | Until\nLO-1 | May"),
        (ElementKind.TABLE, "Fee | Sum\nLate | 2"),
        (ElementKind.TITLE, "Paid in cash."),
    ]
    assert {element.section for element in elements} == {"Loans"}


def test_numbers_and_dates_are_written_as_people_do() -> None:
    """No time of midnight on a date, no seventeen digits on a sum, no fraction on a whole."""
    day = datetime.datetime(2026, 3, 1, tzinfo=None)  # noqa: DTZ001  # a cell of a sheet has no time zone
    (table,) = xlsx(S=[["a", "b", "c", "d"], [day, 0.1 + 0.2, 3.0, True]])
    assert table.text == "a | b | c | d\n2026-03-01 | 0.3 | 3 | True"


def test_one_column_is_a_table() -> None:
    """A list of names is not a row of titles."""
    (table,) = xlsx(Names=[["Name"], ["Ada"], ["Bob"], ["Cy"]])
    assert table.text == "Name\nAda\nBob\nCy"


def test_far_corner_costs_nothing() -> None:
    """A cell at the end of the sheet does not fill the sheet with blanks."""
    book = openpyxl.Workbook()
    book.active["A1"], book.active["B1"] = "a", "b"
    book.active["XFD5000"] = "far"
    target = io.BytesIO()
    book.save(target)
    table, far = read_xlsx(SourceFile(name="x.xlsx", content=target.getvalue()))
    assert (table.text, far.text) == ("a | b", "far")

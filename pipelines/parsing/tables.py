"""Tables as text that keeps its cells: a row a line, cells between bars, long ones cut by rows under their heading."""

from collections.abc import Iterator, Sequence

from pipelines.document import Element, ElementKind

# About 250 tokens: a part that fits a chunk stays whole.
_PART_CHARACTERS = 1_000
# A heading longer than this would leave no room for rows if it were repeated.
_REPEATED_HEADING_CHARACTERS = 400


def row_text(cells: Sequence[str]) -> str:
    """Return one line; an empty cell keeps its place unless nothing comes after it."""
    return " | ".join(" ".join(cell.split()) for cell in cells).rstrip(" |")


def table_elements(
    rows: Sequence[Sequence[str]], *, page: int | None = None, section: str | None = None
) -> Iterator[Element]:
    """Yield the table in parts of bounded length, each beginning with the first row."""
    lines = [line for row in rows if (line := row_text(row))]
    heading = lines[:1] if lines and len(lines[0]) <= _REPEATED_HEADING_CHARACTERS else []
    part: list[str] = []
    length = 0
    for line in lines:
        if len(part) > len(heading) and length + len(line) > _PART_CHARACTERS:
            yield _element(part, page, section)
            part, length = [*heading], sum(map(len, heading))
        part.append(line)
        length += len(line)
    if part:
        yield _element(part, page, section)


def _element(lines: Sequence[str], page: int | None, section: str | None) -> Element:
    return Element(kind=ElementKind.TABLE, text="\n".join(lines), page=page, section=section)

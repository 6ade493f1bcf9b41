"""Tables as text that keeps its cells: a row a line, cells between bars, long ones cut by rows under their heading."""

from collections.abc import Iterator, Sequence

from pipelines.document import Element, ElementKind

# About 250 tokens: a part that fits a chunk stays whole.
_PART_CHARACTERS = 1_000


def row_text(cells: Sequence[object]) -> str:
    """Return one line; empty cells keep their place."""
    return " | ".join("" if cell is None else " ".join(str(cell).split()) for cell in cells)


def table_elements(
    rows: Sequence[Sequence[object]], *, page: int | None = None, section: str | None = None
) -> Iterator[Element]:
    """Yield the table in parts of bounded length, each beginning with the first row."""
    lines = [line for row in rows if (line := row_text(row)).strip(" |")]
    if not lines:
        return
    heading, body = lines[0], lines[1:]
    part: list[str] = [heading]
    for line in body:
        if len(part) > 1 and sum(map(len, part)) + len(line) > _PART_CHARACTERS:
            yield _element(part, page, section)
            part = [heading]
        part.append(line)
    yield _element(part, page, section)


def _element(lines: Sequence[str], page: int | None, section: str | None) -> Element:
    return Element(kind=ElementKind.TABLE, text="\n".join(lines), page=page, section=section)

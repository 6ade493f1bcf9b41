"""Lines to paragraphs, for texts whose lines end where the page ended: PDF pages and hard-wrapped plain text."""

import re
from collections.abc import Sequence

_SENTENCE_END = re.compile(r"[.!?:;)\]\"”’]$")
_LIST_MARK = re.compile(r"^(?:[-•‣◦*–]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s")
_HYPHENATED = re.compile(r"(?<=[^\W\d_])[-\u00ad]$")
# Shares of the usual line length under which a line is taken for the last of its paragraph.
_SURELY_LAST = 0.6
_LAST_IF_SENTENCE_ENDS = 0.9

# Hard-wrapped prose: many lines, few much longer than the margin allows, and the next goes on in lower case.
_FEWEST_WRAPPED_LINES = 6
_MARGINS = range(45, 121)
_BEYOND_MARGIN = 1.3
_BEYOND_SHARE = 0.05
_GOES_ON_SHARE = 0.3


def is_hard_wrapped(text: str) -> bool:
    """Return whether the line ends in `text` are a margin's and not its author's."""
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    if len(lines) < _FEWEST_WRAPPED_LINES:
        return False
    usual = _usual_length(lines)
    beyond = sum(len(line) > usual * _BEYOND_MARGIN for line in lines)
    goes_on = sum(line.lstrip()[0].islower() for line in lines)
    return usual in _MARGINS and beyond <= _BEYOND_SHARE * len(lines) and goes_on >= _GOES_ON_SHARE * len(lines)


def join_lines(text: str) -> str:
    """Return paragraphs separated by blank lines, each on one line.

    A line is taken for the last of its paragraph when it ends a sentence and is shorter than most, for a title when it
    is short and the next begins anew; a hyphen at the end joins two halves of a word.
    """
    lines = [line.strip() for line in text.split("\n")]
    usual = _usual_length([line for line in lines if line])
    paragraphs: list[str] = []
    current = ""
    for line in lines:
        if not line or _LIST_MARK.match(line):
            paragraphs.append(current)
            current = line
        elif _HYPHENATED.search(current) and line[:1].islower():
            current = _HYPHENATED.sub("", current) + line
        else:
            current = f"{current} {line}" if current else line
        if _ends_paragraph(line, usual):
            paragraphs.append(current)
            current = ""
    paragraphs.append(current)
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _usual_length(lines: Sequence[str]) -> int:
    """Return the length that four fifths of the lines do not exceed."""
    lengths = sorted(map(len, lines))
    return lengths[int((len(lengths) - 1) * 0.8)] if lengths else 0


def _ends_paragraph(line: str, usual: int) -> bool:
    if len(line) < usual * _SURELY_LAST:
        return True  # a title, or the last line of a paragraph
    return len(line) < usual * _LAST_IF_SENTENCE_ENDS and bool(_SENTENCE_END.search(line))

"""Find the sentences of a passage, as spans of it, in any language, without a model."""

import re

LONGEST_CHARACTERS = 600

# What ends a sentence, with the quotes and brackets that close behind it. Scripts without spaces need none after it.
_END = re.compile(r"(?:[.!?…]+[\"'”’»)\]]*(?=\s|$))|[。！？]+[」』”’）]*|(?<=\S)\n[ \t]*(?=\n|[-*•#\d|])|\n\s*\n")
_TITLES = ("mr", "mrs", "ms", "dr", "prof", "st", "inc", "ltd", "co", "corp", "dept", "est")
_REFERENCES = ("vs", "etc", "eg", "ie", "e.g", "i.e", "al", "fig", "figs", "eq", "eqs", "nos", "vol", "ca", "cf")
_ABBREVIATIONS = frozenset((*_TITLES, *_REFERENCES, "approx", "resp"))
_LAST_WORD = re.compile(r"([^\s(\[]+)\.$")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the (start, end) of each sentence without the white space around it, in order; none is blank.

    One longer than `LONGEST_CHARACTERS` is cut between words.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for ending in _END.finditer(text):
        if _goes_on(text, start, ending):
            continue
        spans += _trimmed(text, start, ending.end())
        start = ending.end()
    return spans + _trimmed(text, start, len(text))


def _goes_on(text: str, start: int, ending: re.Match[str]) -> bool:
    if ending.group()[0] not in ".!?…":
        return False
    word = _LAST_WORD.search(text, start, ending.end())
    short = word is not None and (word[1].lower() in _ABBREVIATIONS or (len(word[1]) == 1 and word[1].isalpha()))
    following = text[ending.end() : ending.end() + 3].lstrip()
    return short or following[:1].islower()


def _trimmed(text: str, start: int, end: int) -> list[tuple[int, int]]:
    piece = text[start:end]
    first = start + len(piece) - len(piece.lstrip())
    last = start + len(piece.rstrip())
    spans = []
    while last - first > LONGEST_CHARACTERS:
        cut = text.rfind(" ", first + 1, first + LONGEST_CHARACTERS)
        cut = cut if cut > 0 else first + LONGEST_CHARACTERS
        spans.append((first, cut))
        first = cut + len(text[cut:last]) - len(text[cut:last].lstrip())
    return [*spans, (first, last)] if first < last else spans

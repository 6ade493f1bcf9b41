"""Find what somebody quoted in the passage they say it is from, letter by letter but for how it is set."""

import unicodedata

# Fewer letters and digits than this could be quoted from anywhere.
FEWEST_LETTERS = 8

_SET_ALIKE = str.maketrans(dict.fromkeys("‘’‚", "'") | dict.fromkeys("“”„«»", '"') | dict.fromkeys("–—‐‑", "-"))
_UNSEEN = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff")


def find_quote(quote: str, passage: str) -> tuple[int, int] | None:
    """Return the (start, end) of `quote` in `passage`, None if it does not say that.

    White space, typographic quotes and dashes, ligatures and invisible characters may differ; letters and their case
    may not. What has fewer than `FEWEST_LETTERS` letters and digits is no quote.
    """
    wanted, _ = _plain(quote)
    wanted = wanted.strip()
    if sum(map(str.isalnum, wanted)) < FEWEST_LETTERS:
        return None
    plain, places = _plain(passage)
    found = plain.find(wanted)
    if found < 0:
        return None
    last = places[found + len(wanted) - 1]
    return places[found], last + 1


def _plain(text: str) -> tuple[str, list[int]]:
    """Return `text` as it is compared, and for each of its characters the place it comes from."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if character in _UNSEEN:
            continue
        if character.isspace():
            if characters and characters[-1] != " ":
                characters.append(" ")
                places.append(place)
            continue
        for piece in unicodedata.normalize("NFKC", character).translate(_SET_ALIKE):
            characters.append(" " if piece.isspace() else piece)
            places.append(place)
    return "".join(characters), places

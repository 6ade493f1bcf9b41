"""Tell the language of a short text by its script and its commonest words: no model, and no guess if it is unsure."""

import re
import unicodedata
from collections import Counter
from functools import cache

UNKNOWN = "und"
"""Certainly not English, and nothing more is known."""

# Enough letters of a script to say that a text is written in it, and not that it names something in it.
_SHARE_OF_SCRIPT = 0.5
# Two of these say what takes six letters elsewhere.
_DENSE, _WEIGHT_OF_DENSE = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL"}), 3
# One accent may be a name's.
_FEWEST_ACCENTED, _SHARE_ACCENTED = 2, 0.4

_LAST_LATIN = 0x24F
_WORD = re.compile(r"[^\W\d_]+")
_BY_SCRIPT = {
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CJK": "zh",
    "THAI": "th",
    "ARABIC": "ar",
    "HEBREW": "he",
    "DEVANAGARI": "hi",
    "GREEK": "el",
    "CYRILLIC": "ru",
}
# What two languages share says half as much; one word alone may be part of a name.
_ENOUGH = 3
# Words that hold sentences together.
_COMMON = {
    "en": (
        "a an in as no i the of and to is are was were be what which how when who why does do did with for "
        "from that this by on at it has have can not between without during their its than been into so me"
    ),
    "de": (
        "der die das und ist sind ein eine einen einem einer nicht mit für auf von zu dem den des wie wann "
        "wer warum wird werden welche welcher welches bei nach aus auch sich durch zwischen im am zum zur wo "
        "hat was in so wurde wurden beim viel wieviel"
    ),
    "fr": (
        "le la les des du et est sont une un dans pour qui que quand pourquoi comment avec par sur ce cette "
        "ne pas au aux quel quelle quels où son ses leur il elle"
    ),
    "es": (
        "el la los las de del y es son una un en para que qué cuándo cuál cómo quién por con se su al dónde "
        "cuántos lo más sus está a no"
    ),
    "it": (
        "il lo la gli le di del della dei è sono una un per che chi quando come perché con da dal nel nella "
        "si non al alla quale quali dove a in"
    ),
    "pt": (
        "os de da dos das e é são uma um em para que quem quando como por com se não ao à qual quais onde na "
        "a o do no as"
    ),
    "nl": (
        "de het een en is zijn van voor met niet op wie wat wanneer hoe waarom door bij uit naar welke wordt "
        "worden waar dat in was of at hoeveel"
    ),
    "sv": ("och är en ett att det som på för med av inte den de hur när vem vad varför till från vilken vilka var i"),
    "da": (
        "og er en et det som på for med af ikke den de hvordan hvornår hvem hvad hvorfor til fra hvilken hvilke hvor i"
    ),
    "fi": "ja ei se että mikä milloin miten kuka miksi missä ovat oli kun joka mitä kuinka",
    "pl": (
        "w na nie jest są się kto kiedy jak dlaczego przez dla od który która które gdzie co czy oraz po do "
        "to z o i ile jaki jaka jakie"
    ),
    "cs": "na je jsou se že kdo kdy jak proč pro od který která které kde co po za do a to",
    "hu": "az és egy nem hogy ki mikor hogyan miért van vannak melyik hol mi meg is",
    "ro": "și este sunt un în pentru cu care când cum de ce la din nu cine unde a in",
    "tr": "ve bir bu için ile ne nasıl neden kim mi mı hangi nerede kaç olan değil",
    "id": "yang dan di ke dari untuk dengan adalah apa kapan bagaimana siapa mengapa tidak pada oleh mana ada",
    "vi": "là và của có không những các một trong khi nào ai như thế được cho tại sao",
}


def language_of(text: str) -> str | None:
    """Return the ISO 639-1 code of the language of `text`, `UNKNOWN`, or None where it could well be any.

    Japanese is told from Chinese by its syllabaries; other languages of a script go by the commonest one's name.
    """
    words = _WORD.findall(unicodedata.normalize("NFC", text))
    by_script = _by_script("".join(words))
    return by_script if by_script is not None else _by_words([word.lower() for word in words])


def _by_script(letters: str) -> str | None:
    weights: Counter[str] = Counter()
    for letter in letters:
        script = _script(letter) if ord(letter) > _LAST_LATIN else "LATIN"
        weights[script] += _WEIGHT_OF_DENSE if script in _DENSE else 1
    others = {script: weight for script, weight in weights.items() if script != "LATIN"}
    if not others or sum(others.values()) < _SHARE_OF_SCRIPT * weights.total():
        return None
    if "HIRAGANA" in others or "KATAKANA" in others:  # Japanese writes Chinese characters too
        return "ja"
    return _BY_SCRIPT.get(max(others, key=lambda script: others[script]), UNKNOWN)


@cache
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def _by_words(words: list[str]) -> str | None:
    common = _common()
    said, shared = set(words), common["en"]
    scores = {
        language: sum(1 if word in shared else 2 for word in said & theirs)
        for language, theirs in common.items()
        if language != "en"
    }
    english = sum(1 if word in _elsewhere() else 2 for word in said & shared)
    best = max(scores, key=lambda language: scores[language])
    if scores[best] >= _ENOUGH and scores[best] > english:
        return best
    if english:
        return "en"
    accented = sum(not word.isascii() for word in words)
    return UNKNOWN if accented >= max(_FEWEST_ACCENTED, _SHARE_ACCENTED * len(words)) else None


@cache
def _common() -> dict[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in _COMMON.items()}


@cache
def _elsewhere() -> frozenset[str]:
    return frozenset().union(*(words for language, words in _common().items() if language != "en"))

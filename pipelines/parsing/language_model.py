"""Give unstructured a language model without letting it download one.

It uses one for two things: to split sentences, and to ask whether a text has a verb (a paragraph has, a title has not).
Left alone it fetches `en_core_web_sm` at run time and installs it. Where that package is installed it is used;
otherwise the rules below answer both questions for English, and what is a title is decided a little less well.
"""

import re
from functools import cache
from typing import Any

import spacy
import unstructured.nlp.tokenize as nlp
from spacy.language import Language
from spacy.tokens import Doc

MODEL = "en_core_web_sm"

_AUXILIARIES = frozenset(
    {
        "am",
        "are",
        "be",
        "been",
        "being",
        "can",
        "could",
        "did",
        "do",
        "does",
        "had",
        "has",
        "have",
        "is",
        "may",
        "might",
        "must",
        "shall",
        "should",
        "was",
        "were",
        "will",
        "would",
    }
)
# Endings that make an English word a verb more often than not; short words ("ring", "red") are left out by length.
_VERB_ENDING = re.compile(r"(?:ed|ing|ify|ifies|ise|ises|ize|izes)$")
_SHORTEST_WITH_ENDING = 5


@Language.component("codexos_verb_rules")
def _tag_verbs(doc: Doc) -> Doc:
    for token in doc:
        word = token.lower_
        if token.i == 0 and word.endswith("ing"):
            continue  # "Opening the dome" is a heading; a sentence that begins so has another verb
        if word in _AUXILIARIES or (len(word) >= _SHORTEST_WITH_ENDING and _VERB_ENDING.search(word)):
            token.tag_ = "VB"
            return doc  # one verb is all that is asked for
    return doc


# What a paragraph is shows at its beginning, and reading on costs time on every paragraph.
_READ_CHARACTERS = 400


class Beginnings:
    """The model, asked about the beginning of a text only. Stands where unstructured expects spaCy's own."""

    max_length = 10**9

    def __init__(self, model: Language) -> None:
        self._model = model

    def __call__(self, text: str) -> Doc:
        if len(text) <= _READ_CHARACTERS:
            return self._model(text)
        cut = text.rfind(" ", 0, _READ_CHARACTERS)
        return self._model(text[: cut if cut > 0 else _READ_CHARACTERS])


@cache
def _load(*_: Any, **__: Any) -> Beginnings:
    """Return the installed model, or the rules in its place."""
    if spacy.util.is_package(MODEL):
        return Beginnings(spacy.load(MODEL, exclude=["ner", "lemmatizer", "attribute_ruler"]))
    model = spacy.blank("en")
    model.add_pipe("sentencizer")
    model.add_pipe("codexos_verb_rules")
    return Beginnings(model)


def install() -> None:
    """Replace unstructured's loader. Raises RuntimeError if its private name has moved: pin and this go together."""
    for name in ("_load_spacy_model", "_get_nlp"):
        if not hasattr(nlp, name):
            raise RuntimeError(
                f"unstructured.nlp.tokenize has no {name} any more; see pipelines/parsing/language_model.py"
            )
    nlp._load_spacy_model = _load  # type: ignore[assignment]  # it is called like the model, which is all that is done
    nlp._get_nlp.cache_clear()

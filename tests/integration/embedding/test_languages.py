"""Questions in languages that the built-in embedder does not know, through the real index and the real model."""

from collections.abc import Mapping

import pytest

from benchmarks.language_cases import CASES
from benchmarks.language_texts import LIBRARIES, Library
from benchmarks.languages import Quality, measure
from pipelines.embedding.local import LocalEmbedder
from pipelines.language import language_of
from pipelines.retrieval.fuse import ALPHA
from pipelines.retrieval.languages import alpha_for


async def test_the_default_is_never_below_words_alone(embedder: LocalEmbedder) -> None:
    """In twelve languages, and asked in English, for codes, in two words. A mixture that knows of none spoils some."""
    measured = await measure(embedder)
    for name, ways in measured.items():
        print(name, *(f"{way} {quality}" for way, quality in ways.items()))
        assert ways["words"].ndcg > 0.4, f"{name}: the index does not find the words of this language"
        assert ways["default"].ndcg >= ways["words"].ndcg, name
        assert ways["default"].recall >= ways["words"].recall, name
    assert _spoilt(measured, {library.language for library in LIBRARIES})
    # Here the question tells nothing of the passages, so that only what words find can.
    assert {"de, two words", "de, asked for codes", "ar, asked in English"} <= _spoilt(
        measured, {name for name, _ in CASES}
    )


def _spoilt(measured: Mapping[str, Mapping[str, Quality]], names: set[str]) -> set[str]:
    return {name for name in names if measured[name]["fixed"].ndcg < measured[name]["words"].ndcg}


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.language)
def test_questions_are_recognised(library: Library) -> None:
    """Most of them; the others are taken for no language, and never for English."""
    found = [language_of(question) for question, _ in library.questions]
    assert set(found) <= {library.language, None}
    assert found.count(library.language) >= 4


@pytest.mark.parametrize(
    "text", ["Gödel theorem", "to do list", "El Niño effects", "who is el capitan", "42", "the Иванов case"]
)
def test_names_in_english_questions_are_no_other_language(text: str, embedder: LocalEmbedder) -> None:
    """Foreign names, single foreign words, numbers and code stay with what the embedder knows."""
    assert language_of(text) in ("en", None)
    assert alpha_for(text, embedder) == ALPHA

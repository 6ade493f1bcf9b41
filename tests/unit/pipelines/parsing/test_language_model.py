"""unstructured never downloads: its loader is ours. These tests fail when its private names move."""

import pytest
import spacy
import unstructured.nlp.tokenize as nlp
from unstructured.partition.text_type import contains_verb, sent_tokenize

from pipelines.parsing import language_model


@pytest.fixture(autouse=True)
def installed() -> None:
    language_model.install()


@pytest.mark.parametrize("name", ["_load_spacy_model", "_get_nlp"])
def test_moved_name_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An unstructured without the private name fails at the start and says where to look."""
    monkeypatch.delattr(nlp, name)
    with pytest.raises(RuntimeError, match=name):
        language_model.install()


def test_unstructured_uses_our_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model it asks for is the one we give, and the installer is never reached."""
    assert nlp._load_spacy_model is language_model._load
    assert nlp._get_nlp() is language_model._load()


@pytest.mark.skipif(spacy.util.is_package(language_model.MODEL), reason="The real model is installed and is used.")
@pytest.mark.parametrize(
    ("words", "verb"),
    [
        ("The dome is shut at night", True),
        ("Lightning stopped the exposure", True),
        ("Visitors must wait", True),
        ("Weather limits", False),
        ("The red ring of the dome", False),
        ("Spare parts", False),
    ],
)
def test_rules_know_a_verb(words: str, verb: bool) -> None:
    """Auxiliaries and endings tell a sentence from a title."""
    assert contains_verb(words) is verb


def test_sentences_are_told_apart() -> None:
    """Text is split at the ends of its sentences."""
    assert [sentence.strip() for sentence in sent_tokenize("The dome is shut. The wind is strong! Why wait?")] == [
        "The dome is shut.",
        "The wind is strong!",
        "Why wait?",
    ]

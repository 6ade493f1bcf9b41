"""How much a vector weighs, by the language of the question and of what its words find."""

from pipelines.embedding.hashed import HashEmbedder
from pipelines.retrieval.fuse import ALPHA, Candidate, by_words_first
from pipelines.retrieval.languages import alpha_for


class _English(HashEmbedder):
    def __init__(self) -> None:
        super().__init__()
        self.languages = frozenset({"en"})


ENGLISH = "The dome is opened at dusk, and it is closed by the keeper when it rains."
GERMAN = "Die Kuppel wird bei Einbruch der Dunkelheit geöffnet und bei Regen von dem Wärter geschlossen."
CHINESE = "天文台的圆顶在天黑时打开，下雨时关闭。"


def test_a_question_in_another_language_is_answered_by_words() -> None:
    """Whatever its words find."""
    assert alpha_for("Wann öffnet die Kuppel?", _English()) == 0.0
    assert alpha_for("Wann öffnet die Kuppel?", _English(), [ENGLISH]) == 0.0


def test_passages_decide_where_the_question_cannot() -> None:
    """A number, a name, and English asked among texts that are not; half of them will not do."""
    for question in ("E-4711", "Kuppel Dunkelheit", "What does E-4711 mean?"):
        assert alpha_for(question, _English()) == ALPHA
        assert alpha_for(question, _English(), [GERMAN, ENGLISH, CHINESE]) == 0.0
        assert alpha_for(question, _English(), [GERMAN, ENGLISH]) == ALPHA
        assert alpha_for(question, _English(), [ENGLISH, GERMAN, ENGLISH]) == ALPHA


def test_passages_that_could_be_in_any_language_say_nothing() -> None:
    """Tables of numbers, code, names."""
    assert alpha_for("E-4711", _English(), ["4711 | 12 | 0.3", "x = f(y)", ENGLISH]) == ALPHA
    assert alpha_for("E-4711", _English(), ["4711 | 12 | 0.3", "x = f(y)", GERMAN]) == 0.0


def test_an_embedder_of_all_languages_is_trusted_in_all() -> None:
    """One that says so by naming none."""
    assert alpha_for("Wann öffnet die Kuppel?", HashEmbedder(), [GERMAN]) == ALPHA


def test_what_shares_no_word_stands_behind_what_does_nearest_first() -> None:
    """Its score is below theirs, so that scores fall as ranks do."""
    near, far = Candidate(1, "a", "a", 1, similarity=0.2), Candidate(2, "b", "b", 1, similarity=0.9)
    best, last = Candidate(3, "c", "c", 1, 0.1, bm25=4.0), Candidate(4, "d", "d", 1, 0.99, bm25=1.0)
    ranked = by_words_first([near, far, last, best])
    assert [entry.candidate.chunk_id for entry in ranked] == ["c", "d", "b", "a"]
    assert [entry.score for entry in ranked] == [1.0, 0.25, 0.2375, 0.15]


def test_where_words_find_nothing_the_nearest_is_found() -> None:
    """With the score it would have without words."""
    assert [entry.score for entry in by_words_first([Candidate(1, "a", "a", 1, similarity=0.5)])] == [0.75]

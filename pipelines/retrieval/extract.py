"""Answer with the passages' own sentences: no model that writes, no network, and nothing that is not in a document."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.document import Hit
from pipelines.embedding.base import Embedder, Vectors
from pipelines.retrieval.languages import alpha_for
from pipelines.retrieval.sentences import sentence_spans

# Sentences that are embedded for one answer: 48 short ones take about a quarter of a second on one core.
MOST_SENTENCES = 48
# A sentence that says what a chosen one says adds nothing.
_ALIKE = 0.9
# Below this share of the best one's confidence a sentence is beside the point.
_NEARLY_AS_GOOD = 0.85
_COVERAGE_SHARE = 0.25
_FEWEST_LETTERS = 12
# A heading names what is asked and answers nothing; it stands where nothing better does.
_HEADING_SHARE = 0.7
_HEADING = re.compile(r"[^\n.!?…:;。！？]{1,80}(?=[ \t]*\n\s*\n)")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """A sentence of a passage. `start` and `end` are its place there; `confidence` is 0..1."""

    hit: Hit
    start: int
    end: int
    confidence: float

    @property
    def text(self) -> str:
        return self.hit.text[self.start : self.end]


def extract(query: str, hits: Sequence[Hit], embedder: Embedder, *, most: int) -> list[Extracted]:
    """Return at most `most` sentences of `hits` that answer `query`, the best first.

    Confidence is the cosine between question and sentence, less where the passage lacks the question's words: a
    sentence about something else that is merely worded alike shares few of them. In a language that the embedder does
    not know, words the sentence shares with the question stand for the cosine.
    """
    found = _candidates(hits)
    if not found:
        return []
    vectors = embedder.embed([query, *(hit.text[start:end] for hit, start, end in found)])
    asked = _words(query)
    if alpha_for(query, embedder, [hit.text for hit in hits]):
        alike = [max(0.0, float(cosine)) for cosine in vectors[1:] @ vectors[0]]
    else:  # vectors of this language mean little
        alike = [_coverage(asked, hit.text[start:end]) for hit, start, end in found]
    headings = [_is_heading(hit.text, start, end) for hit, start, end in found]
    confidences = [
        (_HEADING_SHARE if heading else 1.0)
        * ((1 - _COVERAGE_SHARE) * likeness + _COVERAGE_SHARE * _coverage(asked, hit.text))
        for likeness, heading, (hit, _, _) in zip(alike, headings, found, strict=True)
    ]
    return [
        Extracted(hit=found[place][0], start=found[place][1], end=found[place][2], confidence=confidences[place])
        for place in _best(confidences, vectors[1:], headings, most)
    ]


def _best(confidences: Sequence[float], vectors: Vectors, headings: Sequence[bool], most: int) -> list[int]:
    """Return the places of the best that differ from each other; a heading joins nobody."""
    order = sorted(range(len(confidences)), key=lambda place: (-round(confidences[place], 6), place))
    chosen: list[int] = []
    for place in order:
        if len(chosen) == most or confidences[place] < _NEARLY_AS_GOOD * confidences[order[0]]:
            break
        nearest = max((float(vectors[other] @ vectors[place]) for other in chosen), default=0.0)
        if not chosen or (nearest < _ALIKE and not headings[place]):
            chosen.append(place)
    return chosen


def _candidates(hits: Sequence[Hit]) -> list[tuple[Hit, int, int]]:
    """Return sentences of every passage in turn, so that a long first passage does not crowd out the others."""
    spans = [[span for span in sentence_spans(hit.text) if _says_something(hit.text[slice(*span)])] for hit in hits]
    found: list[tuple[Hit, int, int]] = []
    for place in range(max(map(len, spans), default=0)):
        for hit, theirs in zip(hits, spans, strict=True):
            if place < len(theirs) and len(found) < MOST_SENTENCES:
                found.append((hit, *theirs[place]))
    return found


def _says_something(sentence: str) -> bool:
    letters = sum(map(str.isalpha, sentence))
    return letters >= _FEWEST_LETTERS or (letters >= _FEWEST_LETTERS // 4 and not sentence.isascii())


def _is_heading(text: str, start: int, end: int) -> bool:
    """Return whether a short line stands alone above something, without the stop that ends a sentence."""
    found = _HEADING.match(text, start)
    return found is not None and found.end() == end


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.casefold()) if len(word) > 2 or not word.isascii()}


def _coverage(asked: set[str], passage: str) -> float:
    return len(asked & _words(passage)) / len(asked) if asked else 0.0

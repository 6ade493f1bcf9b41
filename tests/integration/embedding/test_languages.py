"""Questions in languages that the built-in embedder does not know, through the real index and the real model."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.ids import DocumentId
from pipelines.embedding.local import LocalEmbedder
from pipelines.index.rows import rows_of
from pipelines.language import language_of
from pipelines.retrieval.query import QueryRequest, SearchMode, search
from stores.lance import ChunkTable, LanceStore
from tests.factories.chunks import TENANT, Cut, cut
from tests.factories.languages import LIBRARIES, Library


@dataclass(frozen=True, slots=True)
class Shelves:
    table: ChunkTable
    embedder: LocalEmbedder

    async def quality(self, library: Library, **options: Any) -> float:
        """Return the mean nDCG@10 of the library's questions, among the passages of all libraries."""
        gains = []
        for question, place in library.questions:
            request = QueryRequest(query=question, limit=10, **options)
            hits = await search(self.table, self.embedder, request, _everything)
            ranks = [rank for rank, hit in enumerate(hits, 1) if hit.document_id == f"{library.language}-{place}"]
            gains.append(1 / math.log2(ranks[0] + 1) if ranks else 0.0)
        return sum(gains) / len(gains)


def _mixtures(library: Library) -> dict[str, str]:
    """Return what shares half of its words with one passage and half with another, so that words alone may err."""
    halves = [(text[: len(text) // 2], text[len(text) // 2 :]) for text in library.passages]
    pairs = [(one, other) for one in range(len(halves)) for other in range(len(halves)) if one != other]
    return {f"{library.language}-{one}+{other}": halves[one][0] + halves[other][1] for one, other in pairs}


async def _everything(document_ids: Sequence[DocumentId]) -> Mapping[DocumentId, int]:
    return dict.fromkeys(document_ids, 1)


@pytest.fixture
async def shelves(embedder: LocalEmbedder, tmp_path: Path) -> Shelves:
    table = await LanceStore(tmp_path / "lance").open_table(TENANT, embedder.space, embedder.dimensions)
    cuts = []
    for library in LIBRARIES:
        texts = {f"{library.language}-{place}": text for place, text in enumerate(library.passages)}
        texts |= _mixtures(library)
        for (name, text), vector in zip(texts.items(), embedder.embed(list(texts.values())), strict=True):
            made = cut(name, [text])
            cuts.append(Cut(document=made.document, passages=made.passages, vectors=vector[None]))
    await table.commit(rows_of(cuts), retire={each.document.document_id: 1 for each in cuts})
    return Shelves(table, embedder)


async def test_the_default_is_never_below_words_alone(shelves: Shelves) -> None:
    """In each of twelve languages. Where meaning may weigh all the same, as it does in English, some are spoilt."""
    spoilt = []
    for library in LIBRARIES:
        words = await shelves.quality(library, mode=SearchMode.KEYWORD)
        default = await shelves.quality(library)
        fused = await shelves.quality(library, alpha=0.8)
        print(f"{library.language}  words {words:.3f}  default {default:.3f}  fused {fused:.3f}")
        assert words > 0.4, f"{library.language}: the index does not find the words of this language"
        assert default >= words, library.language
        spoilt += [library.language] if fused < words else []
    assert spoilt


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.language)
def test_questions_are_recognised(library: Library) -> None:
    """Most of them; the others are taken for no language, and never for English."""
    found = [language_of(question) for question, _ in library.questions]
    assert set(found) <= {library.language, None}
    assert found.count(library.language) >= 4


@pytest.mark.parametrize(
    "text", ["Gödel theorem", "to do list", "El Niño effects", "who is el capitan", "42", "the Иванов case"]
)
def test_names_in_english_questions_are_no_other_language(text: str) -> None:
    """Foreign names, single foreign words, numbers and code stay with what the embedder knows."""
    assert language_of(text) in ("en", None)

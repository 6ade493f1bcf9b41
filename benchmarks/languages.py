"""Questions in and about languages that the embedder does not know: vector, words, a fixed mixture, and the default.

    python -m benchmarks.languages [--model-folder .codexos/models]

The texts are this repository's own. Passages are mixed with others made of halves of two of them, so that words alone
may err too. Fails if the default finds less than words alone in any collection, or if a mixture that knows of no
languages does so in none: then the texts would show nothing.
"""

import argparse
import asyncio
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.language_cases import CASES
from benchmarks.language_texts import LIBRARIES, Library
from benchmarks.machine import heading
from benchmarks.quality import ingest
from benchmarks.trec import Collection
from core.ids import DocumentId, TenantId
from pipelines.embedding import open_embedder
from pipelines.embedding.base import Embedder
from pipelines.retrieval.fuse import ALPHA
from pipelines.retrieval.query import QueryRequest, SearchMode, search
from stores.lance import ChunkTable, LanceStore

_WAYS: Mapping[str, Mapping[str, Any]] = {
    "vector": {"mode": SearchMode.VECTOR},
    "words": {"mode": SearchMode.KEYWORD},
    "fixed": {"alpha": ALPHA},
    "default": {},
}
_TENANT = TenantId("benchmark")
_LIMIT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    ndcg: float
    recall: float
    """Among the first ten."""

    def __str__(self) -> str:
        return f"{self.ndcg:.3f} / {self.recall:.2f}"


async def shelve(table: ChunkTable, embedder: Embedder, name: str, libraries: Sequence[Library]) -> None:
    """Index the passages, each a document, and the mixtures of every two of them."""
    passages: dict[str, str] = {}
    for library in libraries:
        passages |= {f"{library.language}-{place}": text for place, text in enumerate(library.passages)}
        passages |= _mixtures(library)
    await ingest(table, embedder, Collection(name=name, passages=passages, queries={}, judged={}))


def _mixtures(library: Library) -> dict[str, str]:
    halves = [(text[: len(text) // 2], text[len(text) // 2 :]) for text in library.passages]
    pairs = [(one, other) for one in range(len(halves)) for other in range(len(halves)) if one != other]
    return {f"{library.language}-{one}+{other}": halves[one][0] + halves[other][1] for one, other in pairs}


async def quality(table: ChunkTable, embedder: Embedder, library: Library, **options: Any) -> Quality:
    """Return the means over the library's questions; each has one passage that answers it."""
    gains, found = [], 0
    for question, place in library.questions:
        request = QueryRequest(query=question, limit=_LIMIT, **options)
        hits = await search(table, embedder, request, _everything)
        rank = next((r for r, hit in enumerate(hits, 1) if hit.document_id == f"{library.language}-{place}"), None)
        gains.append(0.0 if rank is None else 1 / math.log2(rank + 1))
        found += rank is not None
    return Quality(ndcg=sum(gains) / len(gains), recall=found / len(gains))


async def _everything(document_ids: Sequence[DocumentId]) -> Mapping[DocumentId, int]:
    return dict.fromkeys(document_ids, 1)


async def measure(embedder: Embedder) -> dict[str, dict[str, Quality]]:
    """Return the qualities of every way in every collection: all libraries in one, and each case in its own."""
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        shared = await LanceStore(Path(folder) / "all").open_table(_TENANT, embedder.space, embedder.dimensions)
        await shelve(shared, embedder, "all", LIBRARIES)
        asked = [(library.language, library, shared) for library in LIBRARIES]
        for place, (name, library) in enumerate(CASES):
            own = await LanceStore(Path(folder) / str(place)).open_table(_TENANT, embedder.space, embedder.dimensions)
            await shelve(own, embedder, name, [library])
            asked.append((name, library, own))
        for name, library, table in asked:
            measured[name] = {way: await quality(table, embedder, library, **options) for way, options in _WAYS.items()}
    return measured


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model-folder", type=Path, default=Path(".codexos/models").absolute())
    chosen = options.parse_args()
    print(heading("Languages that the embedder does not know: nDCG@10 / recall@10"))
    measured = asyncio.run(measure(open_embedder("local", model_folder=chosen.model_folder, threads=2)))
    print(f"{'':24}" + "".join(f"{way:>16}" for way in _WAYS))
    for name, ways in measured.items():
        print(f"{name:24}" + "".join(f"{ways[way]!s:>16}" for way in _WAYS))
    below = [name for name, ways in measured.items() if ways["default"].ndcg < ways["words"].ndcg]
    spoilt = [name for name, ways in measured.items() if ways["fixed"].ndcg < ways["words"].ndcg]
    print(f"default below words: {', '.join(below) or 'nowhere'}; a fixed mixture: {', '.join(spoilt) or 'nowhere'}")
    return 0 if spoilt and not below else 1


if __name__ == "__main__":
    sys.exit(main())

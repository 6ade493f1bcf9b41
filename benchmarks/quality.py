"""Retrieval quality: nDCG@10 and recall@100 of vector, keyword and hybrid through the real query path.

    python -m benchmarks.quality --data DIR [--sets scifact,cranfield] [--rerank] [--model-folder .codexos/models]
    python -m benchmarks.quality --data DIR --http

DIR holds collections in BEIR's layout. One chunk per document, "title text"; with --http, posted to and asked of a
served API with nothing but its defaults: a longer document is several chunks, of which the best counts. Fails if vector
search on SciFact, uncut, is not within 0.01 of the figure published for this model, or if hybrid is not above both of
its parts on every collection.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import fmean

import numpy as np

from benchmarks.machine import heading
from benchmarks.quality_over_http import measured_runs
from benchmarks.trec import Collection, Scores, ndcg, read_collection, recall
from core.ids import DocumentId, TenantId
from pipelines.document import ChunkingConfig, Document, Passage
from pipelines.embedding import open_embedder
from pipelines.embedding.base import Embedder, Vectors
from pipelines.index.rows import rows_of
from pipelines.retrieval.query import QueryRequest, SearchMode, retrieve
from pipelines.retrieval.rerank import Reranking, Rerankings
from pipelines.retrieval.rerank_sentences import SentenceReranker
from stores.lance import ChunkTable, LanceStore

# sbert.net and the MTEB leaderboard for all-MiniLM-L6-v2, exact search.
PUBLISHED_SCIFACT_VECTOR = 0.6451
_TOLERANCE = 0.01
_TENANT = TenantId("benchmark")
_BATCH = 256
_LIMIT = 100
_PATIENCE_SECONDS = 600.0
_RERANKED = "hybrid, reranked"

Figures = Mapping[str, tuple[float, float]]
"""(nDCG@10, recall@100) of each mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """A passage as a document of one chunk."""

    document: Document
    passages: Sequence[Passage]
    vectors: Vectors


def _wholes(passages: Sequence[tuple[str, str]], vectors: Vectors) -> list[_Whole]:
    return [
        _Whole(
            document=Document(
                tenant_id=_TENANT,
                document_id=DocumentId(document_id),
                revision=1,
                source=document_id,
                source_type="text",
                collection="default",
                metadata={},
                chunking=ChunkingConfig(),
            ),
            passages=[Passage(position=0, text=text, start=0, end=len(text), tokens=0)],
            vectors=np.asarray(vector)[None, :],
        )
        for (document_id, text), vector in zip(passages, vectors, strict=True)
    ]


async def ingest(table: ChunkTable, embedder: Embedder, collection: Collection) -> None:
    """Index every passage of the collection."""
    passages = list(collection.passages.items())
    for first in range(0, len(passages), _BATCH):
        batch = passages[first : first + _BATCH]
        vectors = await asyncio.to_thread(embedder.embed, [text for _, text in batch])
        await table.commit(rows_of(_wholes(batch, vectors)), retire={})
        print(f"\r{collection.name}: {first + len(batch)} of {len(passages)} passages", end="", file=sys.stderr)
    print(file=sys.stderr)
    await table.ensure_indexes()
    await table.optimize(timedelta(days=1))


class _Remembering:
    """An embedder that reads no text twice: questions bring the same passages, and the same sentences, again."""

    def __init__(self, embedder: Embedder) -> None:
        self.space, self.dimensions, self.max_tokens = embedder.space, embedder.dimensions, embedder.max_tokens
        self.languages = embedder.languages
        self.token_spans = embedder.token_spans
        self._embedder = embedder
        self._known: dict[str, Vectors] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known.update(zip(new, self._embedder.embed(new), strict=True))
        return np.stack([self._known[text] for text in texts])


async def run(
    table: ChunkTable,
    embedder: Embedder,
    queries: Mapping[str, str],
    mode: SearchMode,
    reranking: Reranking | None = None,
) -> dict[str, Scores]:
    """Return what each query finds."""

    async def visible(document_ids: Sequence[DocumentId]) -> Mapping[DocumentId, int]:
        return dict.fromkeys(document_ids, 1)

    found: dict[str, Scores] = {}
    for query_id, text in queries.items():
        asked = QueryRequest(query=text, limit=_LIMIT, mode=mode, rerank=reranking is not None)
        answer = await retrieve(table, embedder, asked, visible, reranking)
        if answer.fallback is not None:
            raise RuntimeError(f"A query was not reranked: {answer.fallback}.")
        found[query_id] = {hit.document_id: hit.score for hit in answer.hits}
    return found


async def measure(collection: Collection, embedder: Embedder, *, rerank: bool) -> Figures:
    """Index the collection in a temporary folder and score each mode over all judged queries."""
    rerankings = Rerankings(SentenceReranker, timeout_seconds=_PATIENCE_SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        table = await LanceStore(Path(folder)).open_table(_TENANT, embedder.space, embedder.dimensions)
        await ingest(table, embedder, collection)
        runs = {str(mode): await run(table, embedder, collection.queries, mode) for mode in SearchMode}
        if rerank:
            reranking = rerankings.of(_Remembering(embedder))
            runs[_RERANKED] = await run(table, embedder, collection.queries, SearchMode.HYBRID, reranking)

    return figures_of(collection, runs)


def figures_of(collection: Collection, runs: Mapping[str, Mapping[str, Scores]]) -> Figures:
    """Score what each mode found, over all judged queries."""

    def mean(found: Mapping[str, Scores], measured: Callable[[Scores, Mapping[str, int], int], float], k: int) -> float:
        return fmean(measured(found[query_id], collection.judged[query_id], k) for query_id in collection.queries)

    return {mode: (mean(found, ndcg, 10), mean(found, recall, 100)) for mode, found in runs.items()}


def report(figures: Mapping[str, Figures]) -> str:
    """Return the figures as a table."""
    lines = ["| collection | mode | nDCG@10 | recall@100 |", "|---|---|---|---|"]
    for name, modes in figures.items():
        lines += [f"| {name} | {mode} | {gain:.4f} | {share:.3f} |" for mode, (gain, share) in modes.items()]
    return "\n".join(lines)


def shortfalls(figures: Mapping[str, Figures], *, whole: bool = True) -> list[str]:
    """Return a sentence for each figure that is not what it has to be; `whole` if documents were not cut."""
    found = []
    for name, modes in figures.items():
        gains = {mode: gain for mode, (gain, _) in modes.items()}
        if name == "scifact" and whole and abs(gains[SearchMode.VECTOR] - PUBLISHED_SCIFACT_VECTOR) > _TOLERANCE:
            found.append(f"Vector search on scifact is more than {_TOLERANCE} from {PUBLISHED_SCIFACT_VECTOR}.")
        if gains[SearchMode.HYBRID] <= max(gains[SearchMode.VECTOR], gains[SearchMode.KEYWORD]):
            found.append(f"Hybrid is not above both of its parts on {name}.")
        if gains.get(_RERANKED, 1.0) <= gains[SearchMode.HYBRID]:
            found.append(f"Reranking does not help on {name}.")
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True, help="folder of collections in BEIR's layout")
    options.add_argument("--sets", default="scifact,cranfield", help="which of them, by folder name")
    options.add_argument("--model-folder", type=Path, default=Path(".codexos/models").absolute())
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--rerank", action="store_true", help="hybrid with the built-in reranker as well")
    options.add_argument("--http", action="store_true", help="through a served API with default settings")
    chosen = options.parse_args()
    collections = [read_collection(chosen.data / name) for name in chosen.sets.split(",")]
    print(heading("Retrieval quality over HTTP" if chosen.http else "Retrieval quality"))
    if chosen.http:
        figures = {each.name: figures_of(each, asyncio.run(measured_runs(each))) for each in collections}
    else:
        embedder = open_embedder("local", model_folder=chosen.model_folder, threads=chosen.threads)
        figures = {each.name: asyncio.run(measure(each, embedder, rerank=chosen.rerank)) for each in collections}
    print(report(figures))
    faults = shortfalls(figures, whole=not chosen.http)
    print("\n".join(["", *faults]) if faults else "\nAll figures are as they have to be.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

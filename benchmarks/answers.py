"""When extractive answers abstain: questions that a collection is about, and questions of another, at each threshold.

    python -m benchmarks.answers --data DIR [--questions 100] [--model-folder .codexos/models]

DIR holds at least two collections in BEIR's layout. "wrong" is the share of answered own questions whose first quote is
from a passage that is not relevant.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.machine import heading
from benchmarks.quality import ingest
from benchmarks.trec import Collection, read_collection
from core.ids import DocumentId, TenantId
from pipelines.embedding import open_embedder
from pipelines.embedding.base import Embedder
from pipelines.retrieval.extract import extract
from pipelines.retrieval.query import QueryRequest, retrieve
from stores.lance import ChunkTable, LanceStore

_PASSAGES, _SENTENCES = 5, 3
_THRESHOLDS = [0.3, 0.35, 0.4, 0.45, 0.5]
_SEED = 1

Best = tuple[float, str]
"""The confidence of an answer's first sentence, and the document it is from."""


async def best(table: ChunkTable, embedder: Embedder, questions: Sequence[str]) -> list[Best]:
    """Return what each question is answered with before any threshold."""

    async def visible(document_ids: Sequence[DocumentId]) -> Mapping[DocumentId, int]:
        return dict.fromkeys(document_ids, 1)

    found: list[Best] = []
    for question in questions:
        asked = QueryRequest(query=question, limit=_PASSAGES)
        hits = (await retrieve(table, embedder, asked, visible)).hits
        chosen = await asyncio.to_thread(extract, question, hits, embedder, most=_SENTENCES)
        found.append((chosen[0].confidence, chosen[0].hit.document_id) if chosen else (0.0, ""))
    return found


async def measure(collection: Collection, others: Sequence[Collection], embedder: Embedder, questions: int) -> None:
    chosen = random.Random(_SEED)
    own = chosen.sample(sorted(collection.queries), min(questions, len(collection.queries)))
    foreign = [text for other in others for text in other.queries.values()]
    foreign = chosen.sample(sorted(foreign), min(questions, len(foreign)))
    with tempfile.TemporaryDirectory() as folder:
        table = await LanceStore(Path(folder)).open_table(TenantId("benchmark"), embedder.space, embedder.dimensions)
        await ingest(table, embedder, collection)
        answered = await best(table, embedder, [collection.queries[query_id] for query_id in own])
        mistaken = await best(table, embedder, foreign)
    relevant = [
        collection.judged[query_id].get(document, 0) > 0 for query_id, (_, document) in zip(own, answered, strict=True)
    ]
    print(f"{collection.name}: {len(own)} own questions, {len(foreign)} foreign ones")
    for threshold in _THRESHOLDS:
        said = [right for (confidence, _), right in zip(answered, relevant, strict=True) if confidence >= threshold]
        wrong = said.count(False) / len(said) if said else 0.0
        led_on = sum(confidence >= threshold for confidence, _ in mistaken) / len(mistaken)
        told = f"own answered {len(said) / len(own):.2f}   wrong {wrong:.2f}   foreign answered {led_on:.2f}"
        print(f"  threshold {threshold:.2f}   {told}")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True, help="folder of collections in BEIR's layout")
    options.add_argument("--sets", default="scifact,cranfield", help="which of them, by folder name")
    options.add_argument("--questions", type=int, default=100)
    options.add_argument("--model-folder", type=Path, default=Path(".codexos/models").absolute())
    chosen = options.parse_args()
    collections = [read_collection(chosen.data / name) for name in chosen.sets.split(",")]
    print(heading("When answers abstain"))
    embedder = open_embedder("local", model_folder=chosen.model_folder, threads=2)
    for each in collections:
        others = [other for other in collections if other is not each]
        asyncio.run(measure(each, others, embedder, chosen.questions))
    return 0


if __name__ == "__main__":
    sys.exit(main())

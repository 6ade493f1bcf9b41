"""How well each chunker serves retrieval: recall, precision and IoU of the answers' characters with five chunks.

    python -m benchmarks.chunking --data DIR [--cache FILE]

DIR holds `questions.jsonl` (question, references with start_index and end_index) and `corpora/*.md`, the layout of
Chroma's chunking evaluation. Every chunk of every document competes for every question. As there: recall is the share
of the reference characters retrieved; precision and IoU count retrieved characters once per chunk that repeats them.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.ids import TenantId
from pipelines.chunking import chunkers_for
from pipelines.document import ELEMENT_SEPARATOR, ChunkingConfig, ChunkingStrategy, Element, ElementKind
from pipelines.embedding.base import Embedder, Vectors
from pipelines.embedding.cache import CachedEmbedder, SqliteVectorCache
from pipelines.embedding.local import LocalEmbedder

RETRIEVED = 5
_SEPARATORS = ("\n\n", "\n", ".", "?", "!", " ", "")

Span = tuple[int, int]
Split = Callable[[str], list[Span]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    text: str
    corpus: str
    references: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Means over the questions, in percent; `recall_deviation` is the standard deviation between questions."""

    chunks: int
    mean_tokens: float
    recall: float
    recall_deviation: float
    precision: float
    iou: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder of questions.jsonl and corpora/")
    arguments.add_argument("--cache", type=Path, help="file that keeps vectors between runs")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--only", help="run the variants whose name contains this")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = (options.cache.parent if options.cache else Path(folder)) / "model"
        cache = SqliteVectorCache(options.cache or Path(folder) / "vectors.sqlite3")
        embedder = CachedEmbedder(LocalEmbedder(model, threads=options.threads), cache, TenantId("benchmark"))
        corpora = {
            path.stem: path.read_text(encoding="utf-8") for path in sorted((options.data / "corpora").glob("*.md"))
        }
        questions = read_questions(options.data / "questions.jsonl")
        print(f"{len(questions)} questions over {len(corpora)} documents, {RETRIEVED} chunks retrieved")
        print(f"{'chunker':<26}{'chunks':>7}{'tokens':>8}{'recall':>16}{'precision':>11}{'IoU':>7}")
        for name, split in variants(embedder).items():
            if options.only and options.only not in name:
                continue
            scores = evaluate(split, corpora, questions, embedder)
            print(
                f"{name:<26}{scores.chunks:>7}{scores.mean_tokens:>8.0f}"
                f"{scores.recall:>9.1f} ± {scores.recall_deviation:4.1f}{scores.precision:>11.2f}{scores.iou:>7.2f}",
                flush=True,
            )


def read_questions(path: Path) -> list[Question]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Question(
            text=row["question"],
            corpus=row["corpus_id"],
            references=tuple((span["start_index"], span["end_index"]) for span in row["references"]),
        )
        for row in rows
    ]


def variants(embedder: Embedder) -> dict[str, Split]:
    """Return the peers' way of cutting and ours, by the name printed."""
    default = ChunkingConfig()
    ours = {
        ("fixed", 200, 0),
        ("recursive", 100, 0),
        ("recursive", 250, 125),
        ("recursive", 240, 60),
        ("recursive", 200, 0),
        ("recursive", 200, 40),
        ("structure", 250, 50),
        ("semantic", 200, 0),
        ("recursive", default.chunk_tokens, default.overlap_tokens),
    }
    splits: dict[str, Split] = {
        "peers fixed 200:0": lambda text: token_windows(text, embedder, 200),
        "peers recursive 250:125": lambda text: peers_recursive(text, embedder, 250, 125),
        "peers recursive 100:0": lambda text: peers_recursive(text, embedder, 100, 0),
    }
    for strategy, tokens, overlap in sorted(ours):
        marker = (
            " (default)"
            if (strategy, tokens, overlap) == ("recursive", default.chunk_tokens, default.overlap_tokens)
            else ""
        )
        splits[f"{strategy} {tokens}:{overlap}{marker}"] = our_split(embedder, strategy, tokens, overlap)
    return splits


def our_split(embedder: Embedder, strategy: str, tokens: int, overlap: int) -> Split:
    config = ChunkingConfig(strategy=ChunkingStrategy(strategy), chunk_tokens=tokens, overlap_tokens=overlap)
    chunker = chunkers_for(embedder)[config.strategy]

    def split(text: str) -> list[Span]:
        # Cut at the separator, so that offsets in the document's text are offsets in the corpus.
        elements = [Element(kind=ElementKind.TEXT, text=block) for block in text.split(ELEMENT_SEPARATOR)]
        return [(passage.start, passage.end) for passage in chunker.split(elements, config)]

    return split


def token_windows(text: str, embedder: Embedder, tokens: int) -> list[Span]:
    """Every `tokens` tokens a cut, wherever that falls."""
    starts = [start for start, _ in embedder.token_spans(text)][::tokens]
    return list(zip([0, *starts[1:]], [*starts[1:], len(text)], strict=True))


def peers_recursive(text: str, embedder: Embedder, tokens: int, overlap: int) -> list[Span]:
    """The recursive character splitter everyone has: one separator after another, small parts merged greedily."""

    def length(start: int, end: int) -> int:
        return int(np.searchsorted(starts, end) - np.searchsorted(starts, start))

    def parts(start: int, end: int, separators: Sequence[str]) -> list[Span]:
        if length(start, end) <= tokens or not separators:
            return [(start, end)]
        separator = next(each for each in separators if each in text[start:end])
        rest = separators[separators.index(separator) + 1 :]
        cuts = [start]
        if separator:
            # The separator stays with the part that follows it.
            found = text.find(separator, start + 1, end)
            while found != -1:
                cuts.append(found)
                found = text.find(separator, found + len(separator), end)
        else:
            cuts.extend(range(start + 1, end))
        spans: list[Span] = []
        for left, right in zip(cuts, [*cuts[1:], end], strict=True):
            spans.extend(parts(left, right, rest) if length(left, right) > tokens else [(left, right)])
        return spans

    starts = np.array([start for start, _ in embedder.token_spans(text)])
    merged: list[Span] = []
    window: list[Span] = []
    for part in parts(0, len(text), _SEPARATORS):
        if window and length(window[0][0], part[1]) > tokens:
            merged.append((window[0][0], window[-1][1]))
            while window and (length(window[0][0], window[-1][1]) > overlap or length(window[0][0], part[1]) > tokens):
                window.pop(0)
        window.append(part)
    return [*merged, (window[0][0], window[-1][1])]


def evaluate(split: Split, corpora: dict[str, str], questions: Sequence[Question], embedder: Embedder) -> Scores:
    """Cut every corpus, let all chunks compete for each question, and score the best by characters."""
    chunks = [(name, *span) for name, text in corpora.items() for span in split(text)]
    texts = [corpora[name][start:end] for name, start, end in chunks]
    found = nearest(embedder.embed([question.text for question in questions]), embedder.embed(texts))
    rows = np.array(
        [score(question, [chunks[index] for index in best]) for question, best in zip(questions, found, strict=True)]
    )
    recall, precision, iou = 100 * rows.mean(axis=0)
    return Scores(
        chunks=len(chunks),
        mean_tokens=float(np.mean([len(embedder.token_spans(text)) for text in texts])),
        recall=float(recall),
        recall_deviation=float(100 * rows[:, 0].std()),
        precision=float(precision),
        iou=float(iou),
    )


def nearest(queries: Vectors, chunks: Vectors) -> list[list[int]]:
    similarities = queries @ chunks.T
    return [list(map(int, row)) for row in np.argsort(-similarities, axis=1, kind="stable")[:, :RETRIEVED]]


def score(question: Question, retrieved: Sequence[tuple[str, int, int]]) -> tuple[float, float, float]:
    """Return recall, precision and IoU of one question."""
    relevant = {place for start, end in question.references for place in range(start, end)}
    hit = {
        place
        for corpus, start, end in retrieved
        if corpus == question.corpus
        for place in range(start, end)
        if place in relevant
    }
    read = sum(end - start for _, start, end in retrieved)
    return len(hit) / len(relevant), len(hit) / read, len(hit) / (read + len(relevant) - len(hit))


if __name__ == "__main__":
    main()

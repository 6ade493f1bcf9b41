"""Run the installed peers over given chunks, each in its own interpreter, and set their figures beside ours."""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.embedding.base import Vectors

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
PEERS = {"chromadb": "chroma", "langchain + FAISS": "langchain_faiss"}
LEAST_COSINE = 0.9999
_SECONDS = 1_800


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a peer achieved, or why there is no figure."""

    peer: str
    chunks_per_second: float | None = None
    reason: str = ""


def is_installed() -> bool:
    return PYTHON.exists()


def run_peers(texts: Sequence[str], ours: Vectors, *, graph: Path, tokenizer: Path) -> list[Outcome]:
    """Have every peer index these texts, one after the other; `ours` are our vectors of those at `sampled`."""
    with tempfile.TemporaryDirectory(prefix="codexos-peers-") as name:
        folder = Path(name)
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (folder / "chunks.jsonl").write_text(lines, encoding="utf-8")
        inputs = [folder / "chunks.jsonl", graph, tokenizer]
        return [_run(peer, module, inputs, folder / f"{module}.npy", ours) for peer, module in PEERS.items()]


def _run(peer: str, module: str, inputs: Sequence[Path], vectors: Path, ours: Vectors) -> Outcome:
    if not is_installed():
        return Outcome(peer=peer, reason="not installed")
    command = [str(PYTHON), "-m", f"benchmarks.peers.{module}", *map(str, inputs), str(vectors)]
    # Nothing may be fetched, and nothing of our own environment may be found.
    environment = {"PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1", "LANGSMITH_TRACING": "false"}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Outcome(peer=peer, reason=f"not done in {_SECONDS} s")
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return Outcome(peer=peer, reason="not installed" if "ModuleNotFoundError" in last else f"failed: {last}")
    return judged(peer, done.stdout, np.load(vectors), ours)


def judged(peer: str, printed: str, theirs: Vectors, ours: Vectors) -> Outcome:
    """Return the peer's figure, or refuse it where its vectors are not those of the same model."""
    cosine = least_cosine(theirs, ours)
    if not cosine >= LEAST_COSINE:
        return Outcome(peer=peer, reason=f"refused: its vectors differ from ours (least cosine {cosine:.4f})")
    return Outcome(peer=peer, chunks_per_second=float(json.loads(printed)["chunks_per_second"]))


def least_cosine(theirs: Vectors, ours: Vectors) -> float:
    """Return the smallest cosine between rows of the same place, -1 where the shapes differ."""
    if theirs.shape != ours.shape:
        return -1.0
    lengths = np.linalg.norm(theirs, axis=1) * np.linalg.norm(ours, axis=1)
    return float(np.min(np.sum(theirs * ours, axis=1) / lengths))


def table(before: float, after: float, outcomes: Sequence[Outcome]) -> str:
    """Return the comparison; `before` and `after` are our chunks per second around the peers' runs."""
    mean = (before + after) / 2
    lines = [f"{'ingestion, same chunks':<24}{'chunks/s':>10}   ours / peer"]
    lines.append(f"{'CodexOS, before':<24}{before:>10.1f}")
    for outcome in outcomes:
        if outcome.chunks_per_second is None:
            lines.append(f"{outcome.peer:<24}{outcome.reason:>10}")
        else:
            lines.append(
                f"{outcome.peer:<24}{outcome.chunks_per_second:>10.1f}{mean / outcome.chunks_per_second:>14.2f}"
            )
    lines.append(f"{'CodexOS, after':<24}{after:>10.1f}")
    return "\n".join(lines)

"""`python -m server demo`: real documents in, answers out, over HTTP like any client.

Status 0 means that every document is indexed, every question found its answer (right document, page and words) among
the first three results, and every ready-made flow completed with a result that is right.
"""

import asyncio
import json
import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.settings import Settings
from server.cli import demo_flows, ready_flows
from server.cli.demo_answers import Question
from server.cli.demo_client import DemoClient, connected

Say = Callable[[str], None]

_ROOT = Path(__file__).resolve().parents[2]
_QUESTIONS = _ROOT / "docs" / "demo" / "questions.json"
_OWN_DOCS = ("README.md", "ARCHITECTURE.md", "docs/**/*.md", "docs/demo/*")
# Each upload waits for its document. Together they are one or two batches of the lane, and few requests of the minute.
_UPLOADS_AT_ONCE = 32
_WAIT = {"Prefer": "wait=50"}
_JOB_LIMIT_SECONDS = 300.0
_POLL_SECONDS = 3.0
_FINISHED = frozenset({"succeeded", "failed", "cancelled"})
_TOP = 3


def main(settings: Settings) -> int:
    return asyncio.run(run(settings, lambda line: print(line, flush=True)))


async def run(settings: Settings, say: Say) -> int:
    """Run the demo against the server that the settings name; return the exit status."""
    async with connected(settings) as client:
        flow_ids = await ready_flows.install(client)
        failures = await _ingest_all(client, documents(), say)
        wrong = await _ask_all(client, questions(), say)
        wrong += await demo_flows.execute_all(client, flow_ids, say)
    return 1 if failures or wrong else 0


def documents() -> list[Path]:
    """Return the project's own documents and every file of docs/demo."""
    found = {path for pattern in _OWN_DOCS for path in _ROOT.glob(pattern) if path.is_file()}
    return sorted(path for path in found if path != _QUESTIONS and path.suffix != ".py")


def questions() -> list[Question]:
    """Return what the demo asks."""
    return [Question(**question) for question in json.loads(_QUESTIONS.read_text("utf-8"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Posted:
    name: str
    job_id: str


async def _ingest_all(client: DemoClient, paths: Sequence[Path], say: Say) -> int:
    """Post every file and follow its job to the end; return how many documents failed."""
    say(f"Ingesting {len(paths)} documents of this project:")
    started = time.monotonic()
    gate = asyncio.Semaphore(_UPLOADS_AT_ONCE)
    posted = await asyncio.gather(*(_post(client, path, gate) for path in paths))
    failures = await _follow(client, posted, say)
    seconds = time.monotonic() - started
    say(f"  {len(paths) - failures} of {len(paths)} documents are searchable, after {seconds:.1f} s")
    return failures


async def _post(client: DemoClient, path: Path, gate: asyncio.Semaphore) -> _Posted:
    name = path.relative_to(_ROOT).as_posix()
    # The path as external id: a second demo makes new revisions of the same documents, not new documents.
    fields = {"source_type": "file", "external_id": name, "metadata": json.dumps({"path": name})}
    files = {"file": (path.name, path.read_bytes())}
    async with gate:
        answer = await client.call("POST", "/rag/ingest", data=fields, files=files, headers=_WAIT)
    return _Posted(name=name, job_id=answer["job_id"])


async def _follow(client: DemoClient, posted: Iterable[_Posted], say: Say) -> int:
    """Tell what became of every document. Most are finished: whoever posted them has waited for that."""
    waiting = list(posted)
    failures = 0
    deadline = time.monotonic() + _JOB_LIMIT_SECONDS
    while waiting:
        unfinished = []
        for document in waiting:
            job = await client.call("GET", f"/rag/jobs/{document.job_id}")
            if job["status"] in _FINISHED:
                failures += not _tell(document, job, say)
            else:
                unfinished.append(document)
        waiting = unfinished
        if waiting and time.monotonic() > deadline:
            say(f"  still waiting for {', '.join(document.name for document in waiting)}; giving up")
            return failures + len(waiting)
        if waiting:
            await asyncio.sleep(_POLL_SECONDS)
    return failures


def _tell(document: _Posted, job: dict[str, Any], say: Say) -> bool:
    if job["status"] == "succeeded":
        say(f"  indexed  {document.name:45} {job['progress'].get('chunks', '?'):>5} chunks")
        return True
    error = job["error"] or {"code": job["status"], "message": ""}
    say(f"  FAILED   {document.name:45} {error['code']}: {error['message']}")
    return False


async def _ask_all(client: DemoClient, questions: Sequence[Question], say: Say) -> list[str]:
    """Ask every question; say each wrong answer once more at the end, and return those sentences."""
    say("")
    say(f"Asking {len(questions)} questions:")
    wrong = []
    for question in questions:
        started = time.perf_counter()
        answer = await client.call("POST", "/rag/query", json={"query": question.question, "limit": _TOP})
        milliseconds = (time.perf_counter() - started) * 1000
        _show(question, answer, milliseconds, say)
        fault = question.fault(answer["results"])
        if fault is not None:
            wrong.append(f"“{question.question}” was answered wrongly: {fault}.")
    say(f"  {len(questions) - len(wrong)} of {len(questions)} questions found their answer in the first {_TOP} results")
    for sentence in wrong:
        say(f"  WRONG    {sentence}")
    return wrong


def _show(question: Question, answer: dict[str, Any], milliseconds: float, say: Say) -> None:
    say("")
    say(f"  {question.question}")
    for position, result in enumerate(answer["results"], start=1):
        metadata = result["metadata"]
        is_expected = question.is_from_its_source(result)
        page = f", page {metadata['page']}" if metadata.get("page") is not None else ""
        mark = "*" if is_expected else " "
        say(f"  {mark} {position}. {metadata.get('path', metadata['source'])}{page}  (score {result['score']:.2f})")
        if position == 1 or is_expected:
            say(textwrap.indent(textwrap.fill(textwrap.shorten(result["content"], 260), 100), " " * 9))
    say(f"       {milliseconds:.0f} ms, of which {answer['query_time'] * 1000:.0f} ms in the server")

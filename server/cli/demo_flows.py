"""The demo's part with flows: each ready-made one executed over the WebSocket, its path told as it is taken."""

import asyncio
import json
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from server.agents.flows.ready_made import ready_made
from server.cli.demo_client import DemoClient

_ENDS = frozenset({"execution.completed", "execution.failed", "execution.cancelled"})
# A question asked first loads the model that embeds it, in the process that runs flows.
_LIMIT_SECONDS = 120.0
_ANSWERS: Mapping[str, Any] = {"approval": "approve", "support": "We will find out."}


@dataclass(slots=True, kw_only=True)
class Told:
    """What came of one execution. `path` has the flow's nodes in the order in which they were finished."""

    path: list[str] = field(default_factory=list)
    answered: Any = None
    result: Any = None
    problem: str | None = None


async def execute_all(client: DemoClient, flow_ids: Mapping[str, str], say: Callable[[str], None]) -> list[str]:
    """Execute each flow with the input it brings for that; return a sentence for each that does not complete."""
    say("")
    say(f"Executing {len(flow_ids)} flows over the WebSocket:")
    wrong = []
    headers = {"Authorization": f"Bearer {client.key}"}
    address = f"{client.url.replace('http', 'ws', 1)}/ws/demo"
    async with connect(address, additional_headers=headers, proxy=None, open_timeout=30) as socket:
        for name, flow in ready_made().items():
            started = time.perf_counter()
            told = await _execute(socket, name, flow_ids[name], flow["metadata"]["try"])
            _show(flow["name"], told, (time.perf_counter() - started) * 1000, say)
            fault = told.problem or fault_of(name, told.result)
            if fault is not None:
                wrong.append(f"“{flow['name']}” did not do what it is for: {fault}.")
    say(f"  {len(flow_ids) - len(wrong)} of {len(flow_ids)} flows completed")
    for sentence in wrong:
        say(f"  WRONG    {sentence}")
    return wrong


def fault_of(name: str, result: Any) -> str | None:
    """Return what is wrong with the result of a flow's own example, None if it is what the flow is for."""
    match name, result:
        case "support", {"answered_by": "documents", "message": str(), "citations": [_, *_]}:
            return None
        case "triage", {"queue": "accounting"}:
            return None
        case "approval", {"approved": True}:
            return None
        case "many", [*rows] if len(rows) == len(ready_made()["many"]["metadata"]["try"]["questions"]):
            silent = [row["question"] for row in rows if not row.get("citations")]
            return f"nothing was found for {', '.join(silent)}" if silent else None
    return f"the result is {textwrap.shorten(json.dumps(result), 200)}"


async def _execute(socket: ClientConnection, name: str, flow_id: str, input: Any) -> Told:
    told = Told()
    try:
        await socket.send(json.dumps({"type": "execute", "flow_id": flow_id, "input": input}))
        deadline = time.monotonic() + _LIMIT_SECONDS
        while True:
            event = await _next(socket, deadline)
            await _take(socket, name, event, told)
            if told.problem is not None or event["type"] in _ENDS:
                return told
    except TimeoutError:
        told.problem = f"it was not over after {_LIMIT_SECONDS:.0f} s"
    except WebSocketException as error:
        told.problem = f"the connection ended: {error}"
    return told


async def _next(socket: ClientConnection, deadline: float) -> dict[str, Any]:
    async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
        event: dict[str, Any] = json.loads(await socket.recv())
    return event


async def _take(socket: ClientConnection, name: str, event: Mapping[str, Any], told: Told) -> None:
    """Note what the execution tells, and answer it where it waits for a person."""
    data = event["data"]
    match event["type"]:
        case "node.completed" if "/" not in data["path"]:  # those of a map's items stand for one
            told.path.append(data["node_id"])
        case "execution.waiting" if name in _ANSWERS and not data["needs_budget"]:
            told.answered = _ANSWERS[name]
            respond = {"type": "respond", "execution_id": event["execution_id"], "answer": told.answered}
            await socket.send(json.dumps(respond))
        case "execution.completed":
            told.result = data["result"]
        case "error":
            told.problem = f"{data['code']}: {data['message']}"
        case "execution.waiting" | "execution.failed" | "execution.cancelled":
            error = data.get("error") or {"code": data["status"], "message": "it did not complete"}
            told.problem = f"{error['code']}: {error['message']}"


def _show(title: str, told: Told, milliseconds: float, say: Callable[[str], None]) -> None:
    say("")
    say(f"  {title}")
    say(f"       {' → '.join(told.path)}")
    if told.answered is not None:
        say(f"       a person was asked, and answered “{told.answered}”")
    for line in _answers(told.result):
        say(textwrap.indent(textwrap.fill(textwrap.shorten(line, 260), 100), " " * 9))
    say(f"       {milliseconds:.0f} ms")


def _answers(result: Any) -> list[str]:
    if isinstance(result, list):
        return [f"{row['question']} {row['answer']}" if "question" in row else json.dumps(row) for row in result]
    if isinstance(result, dict) and "citations" in result:
        sources = sorted({str(each.get("source")) for each in result["citations"]})
        return [str(result["message"]), f"({len(result['citations'])} citations, from {', '.join(sources)})"]
    return [] if result is None else [json.dumps(result)]

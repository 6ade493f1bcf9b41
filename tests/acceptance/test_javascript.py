"""The WebSocket block of the published reference, run as JavaScript against the system as `make up` starts it."""

import json
from typing import Any

from tests.acceptance.javascript import in_chromium, in_node
from tests.acceptance.system import RunningSystem

# A contract: as it is printed in the reference, to the letter.
SNIPPET = """\
const ws = new WebSocket('wss://api.codexos.dev/ws/{client_id}');

ws.send(JSON.stringify({
  type: 'execute',
  flow_id: 'uuid',
  input: { message: 'Hello' }
}));

ws.onmessage = (event) => {
  const data = JSON.parse(event.data);
  // Handle execution updates
};
"""
FLOW = {
    "name": "Echo",
    "nodes": [
        {"id": "in", "type": "input"},
        {"id": "out", "type": "output", "config": {"value": {"heard": "{{ input.message }}"}}},
    ],
    "edges": [{"source": "in", "target": "out"}],
}


def expression(system: RunningSystem, flow_id: str) -> str:
    """Return the snippet as an expression that promises all that came.

    Its placeholders are filled in; a connection takes messages once it is open, and the first of a page, which can
    set no header, says who speaks. Everything else is the reference's own text.
    """
    opening, asking, listening = SNIPPET.strip().split("\n\n")
    address = f"{system.url.replace('http', 'ws', 1)}/ws/javascript"
    filled = {
        "wss://api.codexos.dev/ws/{client_id}": address,
        "'uuid'": f"'{flow_id}'",
        "// Handle execution updates": "handle(data);",
    }
    for placeholder, value in filled.items():
        assert SNIPPET.count(placeholder) == 1
        opening, asking, listening = (part.replace(placeholder, value) for part in (opening, asking, listening))
    who = json.dumps({"type": "authenticate", "token": system.key_file.read_text().strip()})
    return f"""new Promise((told, failed) => {{
        const heard = [];
        const handle = (data) => {{
            heard.push(data);
            if (['error', 'execution.completed', 'execution.failed'].includes(data.type)) told(heard);
        }};
        {opening}
        ws.onclose = (event) => failed(new Error(`closed with ${{event.code}} ${{event.reason}}`));
        ws.onopen = () => {{
            ws.send(JSON.stringify({who}));
            {asking}
            {listening}
        }};
    }})"""


def flow_of(system: RunningSystem) -> str:
    with system.client() as client:
        flow_id: str = client.post("/api/v1/agents/flows", json=FLOW).raise_for_status().json()["flow_id"]
    return flow_id


def check(heard: list[dict[str, Any]]) -> None:
    assert [each["type"] for each in heard[:2]] == ["ready", "accepted"], heard
    events = heard[2:]
    assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
    types = [each["type"] for each in events]
    assert (types[0], types[-1]) == ("execution.started", "execution.completed")
    assert types.count("node.completed") == 2
    assert events[-1]["data"]["result"] == {"heard": "Hello"}


async def test_the_snippet_of_the_reference_executes_a_flow_in_node(running_system: RunningSystem) -> None:
    """What the execution tells comes to `onmessage`, in order and once."""
    check(await in_node(expression(running_system, flow_of(running_system))))


async def test_the_snippet_of_the_reference_executes_a_flow_in_a_browser(running_system: RunningSystem) -> None:
    """In a page of the API's own origin, which the server looks at; not /docs, whose policy lets nothing connect."""
    script = expression(running_system, flow_of(running_system))
    check(await in_chromium(f"{running_system.url}/ready", script))

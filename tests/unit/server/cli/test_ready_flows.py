"""The ready-made flows are installed once, whatever a start before has left behind."""

import json
from typing import Any

import httpx
import pytest

from server.agents.flows.ready_made import NAMES
from server.cli import ready_flows
from server.cli.demo_client import DemoClient
from server.cli.demo_flows import fault_of


class FlowsApi:
    """Keeps what is posted, newest first, and lists two flows a page."""

    def __init__(self) -> None:
        self.flows: list[dict[str, Any]] = []
        self.changes: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/flows").removeprefix("/agents/flows")
        if request.method == "GET":
            place = int(request.url.params.get("cursor", 0))
            more = place + 2 < len(self.flows)
            page = {"items": self.flows[place : place + 2], "next_cursor": str(place + 2) if more else None}
            return httpx.Response(200, json=page)
        if path.endswith("/publish"):
            [flow] = [each for each in self.flows if each["flow_id"] == path.split("/")[1]]
            flow |= {"published_version": 1, "status": "published"}
            self.changes.append("publish")
            return httpx.Response(200, json=flow)
        body = json.loads(request.content)
        flow = body | {"flow_id": f"f{len(self.flows)}", "status": "draft", "published_version": None}
        self.flows.insert(0, flow)
        self.changes.append("create")
        return httpx.Response(201, json=flow)


async def install(api: FlowsApi) -> dict[str, str]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(api), base_url="http://api") as http:
        return dict(await ready_flows.install(DemoClient(http=http, url="http://api", key="k")))


async def test_second_start_changes_nothing() -> None:
    """Each is written and published once, over however many pages they are listed."""
    api = FlowsApi()
    first = await install(api)
    assert first.keys() == set(NAMES)
    assert api.changes == ["create", "publish"] * len(NAMES)
    assert await install(api) == first
    assert len(api.changes) == 2 * len(NAMES)


async def test_start_that_was_killed_is_made_up_for() -> None:
    """What was written and not published is published, an archived one gets a successor, others are left alone."""
    api = FlowsApi()
    first = await install(api)
    api.flows[0] |= {"status": "draft", "published_version": None}
    api.flows[1] |= {"status": "archived"}
    api.flows.append({"flow_id": "own", "metadata": {}, "status": "draft", "published_version": None})
    api.changes.clear()
    second = await install(api)
    assert sorted(api.changes) == ["create", "publish", "publish"]
    assert sum(first[name] != second[name] for name in NAMES) == 1


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("support", {"answered_by": "person", "message": "We will see.", "citations": []}),
        ("support", {"answered_by": "documents", "message": "Nobody.", "citations": []}),
        ("triage", {"queue": "desk"}),
        ("approval", {"approved": False}),
        ("many", []),
        ("many", [{"question": "?", "answer": None, "citations": []}] * 2),
        ("many", None),
    ],
)
def test_result_that_is_not_what_a_flow_is_for_is_a_fault(name: str, result: Any) -> None:
    """So that the demo cannot end with status 0."""
    assert fault_of(name, result) is not None

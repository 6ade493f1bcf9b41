"""The flows that come with the system, in the development tenant: written and published there unless they are there."""

from collections.abc import Mapping
from typing import Any

from server.agents.flows.ready_made import ready_made
from server.cli.demo_client import DemoClient

_MOST_OF_A_PAGE = 100


async def install(client: DemoClient) -> Mapping[str, str]:
    """Return the ids of the ready-made flows by their short names; each can be executed.

    One is recognised by `metadata.ready_made`, so that a tenant may rename it and change what it does; what was
    archived stays so, and another takes its place. A start that was killed between the two requests publishes later.
    """
    there = await _there(client)
    installed = {}
    for name, flow in ready_made().items():
        found = there.get(name) or await client.call("POST", "/agents/flows", json=flow)
        flow_id: str = found["flow_id"]
        if found["published_version"] is None:
            await client.call("POST", f"/agents/flows/{flow_id}/publish", json={})
        installed[name] = flow_id
    return installed


async def _there(client: DemoClient) -> dict[str, Mapping[str, Any]]:
    """Return what is installed by its short name: the oldest of a name, and nothing archived."""
    found: dict[str, Mapping[str, Any]] = {}
    asked: dict[str, str | int] = {"limit": _MOST_OF_A_PAGE}
    while True:
        page = await client.call("GET", "/agents/flows", params=asked)
        for flow in page["items"]:
            name = flow["metadata"].get("ready_made")
            if isinstance(name, str) and flow["status"] != "archived":
                found[name] = flow
        if page["next_cursor"] is None:
            return found
        asked = {"limit": _MOST_OF_A_PAGE, "cursor": page["next_cursor"]}

"""Flows that come with the system: to begin from, and run by the demo."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

NAMES = ("support", "triage", "approval", "many")


def ready_made() -> Mapping[str, Mapping[str, Any]]:
    """Return by its short name what `POST /agents/flows` takes; `metadata.try` is an input to try it with."""
    folder = files("server.agents.flows") / "ready"
    return {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in NAMES}

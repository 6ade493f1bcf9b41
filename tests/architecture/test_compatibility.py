"""Clients of the released API keep working: a break is listed with its reason, or it does not pass."""

import json
import tomllib

from server.cli import artefacts
from server.openapi.compatibility import breaks
from tests.architecture.tree import ROOT

FOLDER = ROOT / artefacts.FOLDER


def test_every_break_with_the_released_document_is_listed() -> None:
    """And everything listed is a break still: after a release the list begins anew."""
    released = json.loads((FOLDER / "released/v1.json").read_text("utf-8"))
    found = breaks(released, json.loads(artefacts.render()["openapi.json"]))
    listed = tomllib.loads((FOLDER / "breaking-changes.toml").read_text("utf-8")).get("change", [])
    assert found == sorted(change["what"] for change in listed)
    assert all(len(change["reason"].split()) > 3 for change in listed)

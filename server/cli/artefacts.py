"""`python -m server artefacts`: write down what others build against, so that a change of it shows in a diff."""

import json
from collections.abc import Mapping
from pathlib import Path

from core.clock import SystemClock
from core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "docs/api"


def main(settings: Settings) -> None:
    """Write every artefact into docs/api."""
    for name, text in render().items():
        file = ROOT / FOLDER / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


def render() -> Mapping[str, str]:
    """Return the artefacts by file name."""
    from server.agents.nodes.pages import as_markdown as pages
    from server.agents.nodes.registry import build_registry
    from server.app.application import TITLE, VERSION, operations
    from server.openapi.catalogue import as_markdown, catalogue
    from server.openapi.document import document

    listed = operations()
    errors = catalogue(listed)
    return {
        "openapi.json": _json(document(listed, title=TITLE, version=VERSION)),
        "errors.json": _json(errors),
        "errors.md": as_markdown(errors),
        "nodes.md": pages(build_registry(clock=SystemClock())),
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"

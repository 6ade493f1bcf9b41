"""What the architecture tests look at: the packages of this checkout and their modules."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def packages() -> list[str]:
    """Return the names of all top-level packages, as the tree has them."""
    return sorted(marker.parent.name for marker in ROOT.glob("*/__init__.py") if marker.parent.name != "tests")


def modules(*folders: str) -> Iterator[Path]:
    """Yield every Python file below `folders`."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def imports(module: Path) -> set[str]:
    """Return every dotted name that `module` imports, `from a import b` as `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names

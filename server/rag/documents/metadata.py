"""What a user may attach to a document: a small JSON object whose names leave room for ours."""

import json
from typing import Any

MAX_BYTES = 16 * 1024
MAX_DEPTH = 5
MAX_NAME_CHARACTERS = 100
_INT64 = range(-(2**63), 2**63)


def check_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return `metadata` unchanged. Raises ValueError with one sentence about the first fault."""
    _check(metadata, depth=1)
    if len(json.dumps(metadata, ensure_ascii=False).encode()) > MAX_BYTES:
        raise ValueError(f"Metadata should be at most {MAX_BYTES} bytes of JSON")
    return metadata


def _check(value: Any, *, depth: int) -> None:
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise ValueError(f"Metadata should not be nested deeper than {MAX_DEPTH} levels")
        for name in value if isinstance(value, dict) else ():
            _check_name(name)
        for item in value.values() if isinstance(value, dict) else value:
            _check(item, depth=depth + 1)
    elif isinstance(value, int) and not isinstance(value, bool) and value not in _INT64:
        raise ValueError("Whole numbers in metadata should fit into 64 bits")


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
        raise ValueError(f"Names in metadata should have 1 to {MAX_NAME_CHARACTERS} characters")
    # `_system.…` and `$…` are what filters call our own fields and operators.
    if name.startswith(("_", "$")):
        raise ValueError("Names in metadata should not begin with _ or $")

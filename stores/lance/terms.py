"""Terms: a document's attributes as strings an index can hold, so that a filter is a look-up.

An attribute `key: value` gives three kinds of term, told apart by what follows the key's closing quote:
`"key"` (the key is there), `"key"=value` (it has exactly this value), `"key"[]=value` (its list has this element).
Keys and values are spelled in JSON, which makes the whole injective: no key or value can imitate another term.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

# A longer value is represented by its hash: an index need not hold somebody's essay.
_LONGEST_VALUE = 200


def presence_term(key: str) -> str:
    """Return the term of every document that has `key`."""
    return json.dumps(key)


def value_term(key: str, value: Any) -> str:
    """Return the term of every document whose `key` is exactly `value`: 1 and 1.0 are one; 1, "1" and true three."""
    return f"{presence_term(key)}={_spelled(value)}"


def element_term(key: str, element: Any) -> str:
    """Return the term of every document whose `key` is a list with `element` in it."""
    return f"{presence_term(key)}[]={_spelled(element)}"


def terms_of(attributes: Mapping[str, Any]) -> list[str]:
    """Return all terms of a document, in a fixed order."""
    return sorted(set(_terms(attributes)))


def _terms(attributes: Mapping[str, Any]) -> Iterator[str]:
    for key, value in attributes.items():
        yield presence_term(key)
        yield value_term(key, value)
        if isinstance(value, list | tuple):
            for element in value:
                yield element_term(key, element)


def _spelled(value: Any) -> str:
    text = json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"))
    if len(text) <= _LONGEST_VALUE:
        return text
    return "#" + hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value

"""JSON as RFC 8259 means it, less what two readers could understand differently."""

import json
import math
from collections import Counter
from typing import Any

from core.errors import ValidationFailed

MAX_DEPTH = 64


class _Refused(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        again = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _Refused(f"The key {again[:100]!r} occurs twice in one object.")
    return found


def _constant(name: str) -> Any:
    raise _Refused(f"{name} is not JSON.")


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Refused("A number is too large to be read exactly.")
    return number


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)


def parse(raw: bytes | bytearray) -> Any:
    """Return the value. Raises ValidationFailed with one sentence about the first fault."""
    try:
        text = raw.decode("utf-8")
        value = _decoder.decode(text)
        # The cheap counts bound what the walk would find, and most bodies need no walk.
        if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH or b"\\u" in raw:
            _inspect(value)
    except _Refused as refused:
        raise _malformed(str(refused)) from None
    except UnicodeDecodeError:
        raise _malformed("The text is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise _malformed(f"Values are nested deeper than {MAX_DEPTH} levels.") from None
    except ValueError:  # an integer of more digits than Python converts
        raise _malformed("A number is too large to be read exactly.") from None
    return value


def parse_lines(raw: bytes | bytearray) -> list[Any]:
    """Return the value of each line that is not blank, or the ValidationFailed that it is."""
    values: list[Any] = []
    for line in raw.split(b"\n"):
        if not line.strip():
            continue
        try:
            values.append(parse(line))
        except ValidationFailed as failure:
            values.append(failure)
    return values


def _inspect(value: Any) -> None:
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, str):
            _check_text(item)
        elif isinstance(item, dict | list):
            if depth > MAX_DEPTH:
                raise _Refused(f"Values are nested deeper than {MAX_DEPTH} levels.")
            inside = [*item.keys(), *item.values()] if isinstance(item, dict) else item
            waiting += [(child, depth + 1) for child in inside]


def _check_text(text: str) -> None:
    if "\0" in text:
        raise _Refused("A text contains the character NUL.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Refused("A text contains half of a surrogate pair.") from None


def _malformed(sentence: str) -> ValidationFailed:
    return ValidationFailed("The body is not acceptable JSON.", violations=[{"pointer": "", "message": sentence}])

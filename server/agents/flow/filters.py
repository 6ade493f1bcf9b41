"""What templates may do to a value, each bounded before it begins."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Undefined
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as _OF_JINJA

from server.agents.flow.bounded import MOST_OUTPUT, as_text, plain

_WIDEST_INDENT = 40
_MOST_DIGITS = 4000
# Of Jinja's own those whose result is about as large as what they are given.
_TAKEN = """
    abs capitalize count default d dictsort first groupby items last length list lower map max min reject rejectattr
    reverse round select selectattr sort title trim truncate unique upper urlencode wordcount
    """.split()  # noqa: SIM905 - a list of thirty names is easier to read so


def _text(value: Any) -> str:
    text = as_text(value)
    if isinstance(text, Undefined):
        text._fail_with_undefined_error()
    return str(text)


def _join(values: Any, separator: str = "", attribute: str | None = None) -> str:
    texts = []
    for value in values:
        texts.append(_text(value[attribute] if attribute is not None and isinstance(value, Mapping) else value))
    _bounded(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _replace(value: Any, old: str, new: str, count: int = -1) -> str:
    text = _text(value)
    _bounded(len(text) + text.count(old) * max(0, len(new) - len(old)))
    return text.replace(old, new, count)


def _indent(value: Any, width: int = 4, first: bool = False) -> str:
    if not 0 <= width <= _WIDEST_INDENT:
        raise SecurityError(f"indent() goes up to {_WIDEST_INDENT}.")
    lines = _text(value).splitlines(keepends=True)
    _bounded(sum(map(len, lines)) + width * len(lines))
    return "".join(line if not number and not first else " " * width + line for number, line in enumerate(lines))


def _to_json(value: Any, indent: int | None = None) -> str:
    if indent is not None and not 0 <= indent <= 8:
        raise SecurityError("tojson() indents by up to 8.")
    return json.dumps(plain(value), ensure_ascii=False, indent=indent)


def _from_json(value: Any) -> Any:
    return plain(json.loads(_text(value)))


def _split(value: Any, separator: str | None = None) -> list[str]:
    return _text(value).split(separator or None)


def _sum(values: Any, attribute: str | None = None) -> Any:
    numbers = [each[attribute] if attribute is not None else each for each in values]
    if not all(isinstance(number, (int, float)) for number in numbers):
        raise SecurityError("sum() adds numbers.")
    return sum(numbers)


def _int(value: Any, default: int = 0) -> int:
    try:
        return int(value if isinstance(value, (int, float)) else _text(value)[:_MOST_DIGITS])
    except (ValueError, OverflowError):
        return default


def _float(value: Any, default: float = 0.0) -> float:
    try:
        return float(value if isinstance(value, (int, float)) else _text(value)[:_MOST_DIGITS])
    except (ValueError, OverflowError):
        return default


def _bounded(length: int) -> None:
    if length > MOST_OUTPUT:
        raise SecurityError(f"A template comes to more than {MOST_OUTPUT} characters.")


FILTERS: Mapping[str, Callable[..., Any]] = {
    **{name: _OF_JINJA[name] for name in _TAKEN},
    "float": _float,
    "fromjson": _from_json,
    "indent": _indent,
    "int": _int,
    "join": _join,
    "replace": _replace,
    "split": _split,
    "string": _text,
    "sum": _sum,
    "tojson": _to_json,
}

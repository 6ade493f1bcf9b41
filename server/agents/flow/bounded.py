"""The language of templates with bounds: values are JSON and nothing else, texts have a length, and a clock runs."""

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

from jinja2 import Undefined
from jinja2.exceptions import SecurityError
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from server.agents.flow.definition import Json

# Characters of a text, and items of a list, that a template may come to.
MOST_OUTPUT = 1_000_000
# A template that takes longer holds up everybody's flows.
_MOST_SECONDS = 0.25
_LOOP = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem"})
_TESTS = (
    frozenset({"boolean", "defined", "divisibleby", "even", "false", "float", "in", "integer", "lower", "mapping"})
    | {"none", "number", "odd", "sequence", "string", "true", "undefined", "upper", "eq", "equalto", "==", "ne", "!="}
    | {"ge", ">=", "gt", "greaterthan", ">", "le", "<=", "lt", "lessthan", "<"}
)


class Bounded(ImmutableSandboxedEnvironment):
    """Knows the fields of JSON objects, and no attribute or method of anything."""

    intercepted_binops = frozenset({"*", "%", "+"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.globals.clear()
        self.tests = {name: test for name, test in self.tests.items() if name in _TESTS}
        self._until = math.inf

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the clock run. Templates are filled in in one thread, one at a time."""
        self._until = time.perf_counter() + _MOST_SECONDS
        try:
            yield
        finally:
            self._until = math.inf

    def step(self) -> None:
        if time.perf_counter() > self._until:
            raise SecurityError("The template takes too long; let it look at less.")

    def getattr(self, obj: Any, attribute: str) -> Any:
        self.step()
        if isinstance(obj, Mapping):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        self.step()
        if isinstance(obj, (Mapping, list, str)) and not isinstance(argument, Undefined):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        self.step()
        if operator in "*%" and not (_is_number(left) and _is_number(right)):
            raise SecurityError(f"Templates multiply and divide numbers only ({operator}).")
        if operator == "+" and not (_is_number(left) and _is_number(right)):
            _check_length(_length(left) + _length(right))
        return super().call_binop(context, operator, left, right)

    def joined(self, pieces: Iterable[str]) -> str:
        """Return the text of all pieces."""
        length, kept = 0, []
        for piece in pieces:
            self.step()
            length += len(piece)
            _check_length(length)
            kept.append(piece)
        return "".join(kept)

    def measured(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` as a filter that looks at the clock, and whose results have a bound."""

        @wraps(function)
        def measuring(*given: Any, **named: Any) -> Any:
            self.step()
            result = function(*given, **named)
            if isinstance(result, Iterator):
                result = list(result)
            _check_length(_length(result))
            return result

        return measuring


def as_text(value: Any) -> Any:
    """Return how a value stands in a text: nothing for null, JSON for what is no text. Undefined stays to complain."""
    if isinstance(value, (str, Undefined)):
        return value
    return "" if value is None else json.dumps(plain(value), ensure_ascii=False)


def plain(value: Any) -> Json:
    """Return `value` as JSON has it. Raises UndefinedError for what is not there, SecurityError for what is no JSON."""
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise SecurityError("A template comes to a number that JSON does not have.")
        return value
    if isinstance(value, Mapping):
        if "$secret" in value:
            # What came with somebody's input would be taken for a reference that the flow's author wrote.
            raise SecurityError("No template can name a secret.")
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    raise SecurityError("A template comes to something that is no JSON value.")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _length(value: Any) -> int:
    return len(value) if isinstance(value, (str, list, tuple, Mapping)) else 0


def _check_length(length: int) -> None:
    if length > MOST_OUTPUT:
        raise SecurityError(f"A template comes to more than {MOST_OUTPUT} characters.")

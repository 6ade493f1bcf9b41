"""Templates: text with `{{ … }}` in it, filled in from what has happened so far. They compute nothing that runs away.

A string that is nothing but one `{{ … }}` comes to the value itself; any other to text. What the language could do
without bound (calls, multiplying texts, loops in loops) is refused when a flow is written, or stopped by the clock.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.visitor import NodeTransformer

from core.errors import CodexError
from server.agents.flow.bounded import Bounded, as_text, plain
from server.agents.flow.definition import Json
from server.agents.flow.filters import FILTERS

MOST_CHARACTERS = 65_536
# The one field of what stands for a secret.
SECRET = "$secret"
ROOTS = frozenset({"input", "context", "nodes", "item", "index"})
_MARKS = re.compile(r"\{[{%#]")
# Loops inside of one another.
_DEEPEST_LOOPS = 2
_REFUSED: Mapping[type[nodes.Node], str] = {
    nodes.Pow: "powers (**)",
    nodes.Macro: "macros",
    nodes.CallBlock: "call blocks",
    nodes.FilterBlock: "filter blocks",
    nodes.AssignBlock: "blocks of set",
    nodes.Block: "blocks",
    nodes.Extends: "extends",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Call: "calls; use filters, as in {{ input.name | upper }}",
    nodes.NSRef: "namespaces",
}


class TemplateFailed(CodexError):
    """A template is none, or cannot be filled in."""

    code = "TEMPLATE_FAILED"


class CompiledTemplate:
    """One template. `roots` are the names it begins from, `nodes` the nodes whose output it speaks of."""

    __slots__ = ("_is_value", "_template", "nodes", "roots")

    def __init__(self, text: str) -> None:
        if len(text) > MOST_CHARACTERS:
            raise TemplateFailed(f"A template has up to {MOST_CHARACTERS} characters.")
        try:
            parsed = _ENVIRONMENT.parse(text)
            self.roots, self.nodes = _names(parsed)
            _check(parsed)
            self._is_value = _is_value(parsed)
            self._template = _compile(_as_value(parsed) if self._is_value else _Bounding().visit(parsed))
        except TemplateSyntaxError as error:
            raise TemplateFailed(f"This is no template: {error.message} (line {error.lineno}).") from None
        except (TemplateError, RecursionError, SyntaxError, OverflowError, MemoryError):
            raise TemplateFailed("This is no template that can be read.") from None

    def render(self, scope: Mapping[str, Json]) -> Json:
        """Return what it comes to. Raises TemplateFailed."""
        return _guarded(lambda: self._rendered(scope))

    def _rendered(self, scope: Mapping[str, Json]) -> Json:
        with _ENVIRONMENT.running():
            context = self._template.new_context(dict(scope))
            pieces = self._template.root_render_func(context)
            if not self._is_value:
                return _ENVIRONMENT.joined(pieces)
            for _ in pieces:
                pass
            return plain(context.vars["result"])


def render(value: Json, scope: Mapping[str, Json]) -> Json:
    """Return `value` with every template in it filled in, in strings however deep. Raises TemplateFailed."""
    if isinstance(value, str):
        return compiled(value).render(scope) if _MARKS.search(value) else value
    if isinstance(value, list):
        return [render(each, scope) for each in value]
    if isinstance(value, dict):
        # Which secret it is stands in the flow: nothing that is read while it runs may name another.
        return value if SECRET in value else {name: render(each, scope) for name, each in value.items()}
    return value


@lru_cache(maxsize=4096)
def compiled(text: str) -> CompiledTemplate:
    """Raises TemplateFailed with a sentence for its author."""
    return CompiledTemplate(text)


def is_template(text: str) -> bool:
    return _MARKS.search(text) is not None


def fault(text: str) -> str | None:
    """Return what is wrong with a template in one sentence, or None."""
    if not is_template(text):
        return None
    try:
        unknown = sorted(compiled(text).roots - ROOTS)
    except TemplateFailed as error:
        return error.message
    if unknown:
        return f"The template speaks of {unknown[0]!r}; it can see {', '.join(sorted(ROOTS))}."
    return None


def _guarded(rendering: Callable[[], Json]) -> Json:
    try:
        return rendering()
    except UndefinedError as error:
        told = str(error.message or "something").replace("'dict object'", "it").rstrip(".")
        raise TemplateFailed(f"The template asks for what is not there: {told}.") from None
    except SecurityError as error:
        raise TemplateFailed(str(error)) from None
    except RecursionError:
        raise TemplateFailed("What the template looks at is nested too deeply.") from None
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise TemplateFailed(f"The template cannot be filled in: {type(error).__name__}.") from None


def _check(parsed: nodes.Template) -> None:
    for kind, name in _REFUSED.items():
        if (found := parsed.find(kind)) is not None:
            raise TemplateSyntaxError(f"templates have no {name}", found.lineno)
    for loop in parsed.find_all(nodes.For):
        if loop.recursive:
            raise TemplateSyntaxError("templates have no recursive loops", loop.lineno)
    if _loop_depth(parsed) > _DEEPEST_LOOPS:
        raise TemplateSyntaxError(f"loops stand inside of one another up to {_DEEPEST_LOOPS} deep", 1)
    for kind in (nodes.Filter, nodes.Test):
        known = _ENVIRONMENT.filters if kind is nodes.Filter else _ENVIRONMENT.tests
        for used in parsed.find_all(kind):
            if used.name not in known:
                raise TemplateSyntaxError(f"there is no {kind.__name__.lower()} {used.name!r}", used.lineno)


def _loop_depth(node: nodes.Node) -> int:
    return isinstance(node, nodes.For) + max(map(_loop_depth, node.iter_child_nodes()), default=0)


def _names(parsed: nodes.Template) -> tuple[frozenset[str], frozenset[str]]:
    """Return names that the template does not set itself, and the ids that follow `nodes`."""
    named = [(name.name, name.ctx) for name in parsed.find_all(nodes.Name)]
    own = {name for name, used in named if used != "load"} | {"loop"}
    of_nodes = [each for each in parsed.find_all(nodes.Getattr) if _is_nodes(each.node)]
    by_item = [each.arg for each in parsed.find_all(nodes.Getitem) if _is_nodes(each.node)]
    followed = {each.attr for each in of_nodes} | {arg.value for arg in by_item if isinstance(arg, nodes.Const)}
    return frozenset(name for name, used in named if used == "load" and name not in own), frozenset(map(str, followed))


def _is_nodes(expression: nodes.Expr) -> bool:
    return isinstance(expression, nodes.Name) and expression.name == "nodes"


def _is_value(parsed: nodes.Template) -> bool:
    outputs = parsed.body[0].nodes if len(parsed.body) == 1 and isinstance(parsed.body[0], nodes.Output) else []
    return len(outputs) == 1 and not isinstance(outputs[0], nodes.TemplateData)


def _as_value(parsed: nodes.Template) -> nodes.Template:
    output = parsed.body[0]
    assert isinstance(output, nodes.Output)
    bounded = _Bounding().visit(output.nodes[0])
    assign = nodes.Assign(nodes.Name("result", "store", lineno=1), bounded, lineno=1)
    return nodes.Template([assign], lineno=1).set_environment(_ENVIRONMENT)  # type: ignore[return-value]


class _Bounding(NodeTransformer):
    """Puts a counter into every loop, and a measure to every text that is put together."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - the visitor's own spelling
        node = self.generic_visit(node)  # type: ignore[assignment]
        node.iter = nodes.Filter(node.iter, "_counted", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        node = self.generic_visit(node)  # type: ignore[assignment]
        parts = nodes.List(list(node.nodes), lineno=node.lineno)
        return nodes.Filter(parts, "_together", [], [], None, None, lineno=node.lineno)


def _compile(parsed: nodes.Template) -> Template:
    code = _ENVIRONMENT.compile(parsed.set_environment(_ENVIRONMENT))  # type: ignore[call-overload]
    return Template.from_code(_ENVIRONMENT, code, {}, None)


def _counted(values: Any) -> Iterator[Any]:
    for value in values:
        _ENVIRONMENT.step()
        yield value


def _together(parts: list[Any]) -> str:
    return _ENVIRONMENT.joined(map(as_text, parts))


_ENVIRONMENT = Bounded(undefined=StrictUndefined, finalize=as_text, autoescape=False)
_ENVIRONMENT.filters = {
    name: _ENVIRONMENT.measured(function) for name, function in {**FILTERS, "_together": _together}.items()
}
_ENVIRONMENT.filters["_counted"] = _counted

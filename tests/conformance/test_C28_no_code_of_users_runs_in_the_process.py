"""C28: code of users in the process (the CVEs of Langflow and Flowise)."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.errors import CodexError
from server.agents.flow import conditions, templates
from server.agents.flow.definition import Json
from tests.architecture.tree import ROOT, imports, modules

# Whatever a request can reach. `assets` and `pipelines` run documents through programs of their own, in a jail.
REQUEST_PATHS = ("core", "stores", "vault", "server")
_RUNS_CODE = frozenset({"eval", "exec", "compile", "__import__"})
_RUNS_CODE_MODULES = ("pickle", "marshal", "shelve", "dill", "cloudpickle", "code", "runpy", "importlib.util")
_STARTS_PROGRAMS = ("subprocess", "os.system", "os.popen", "pty")
# Puts an empty module in the place of one of LanceDB's that nobody here uses; its name is written down in it.
_LOADS = {"stores/lance/before.py": "importlib.util"}
# The supervisor starts the parts of this system, each command line written down in it; one of them is Redis.
_STARTERS = ("server/cli/", "stores/embedded_redis.py")


@pytest.mark.parametrize("package", REQUEST_PATHS)
def test_C28_nothing_is_compiled_or_unpickled(package: str) -> None:
    """No module that serves requests turns text or bytes into code, or starts a program."""
    faults = []
    for module in modules(package):
        where = module.relative_to(ROOT)
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _RUNS_CODE:
                faults.append(f"{where}:{node.lineno} calls {node.func.id}")
        forbidden = [name for name in _RUNS_CODE_MODULES if _LOADS.get(str(where)) != name]
        if not str(where).startswith(_STARTERS):
            forbidden += _STARTS_PROGRAMS
        faults += [
            f"{where} imports {name}"
            for name in imports(module)
            if any(name == each or name.startswith(f"{each}.") for each in forbidden)
        ]
    assert faults == []


def test_C28_templates_are_made_in_one_room_only() -> None:
    """A second environment of Jinja2, one without bounds, would be found here."""
    rooms = {
        str(module.relative_to(ROOT).parent)
        for module in modules(*REQUEST_PATHS)
        if any(name.split(".")[0] in ("jinja2", "cel") for name in imports(module))
    }
    assert rooms == {"server/agents/flow"}


# What was sent to other systems to have it run: by code fields, templates, expressions, serialised objects.
_EXPRESSIONS = [
    "''.__class__.__mro__[1].__subclasses__()",
    "''['__class__']['__base__']",
    "input.__init__.__globals__.__builtins__.exec('import os')",
    "cycler.__init__.__globals__.os.popen('touch CANARY').read()",
    "lipsum.__globals__['os'].system('touch CANARY')",
    "self.__init__.__globals__.__builtins__.__import__('os').system('touch CANARY')",
    "joiner.__init__.__globals__.os.popen('touch CANARY')",
    "namespace.__init__.__globals__.os.system('touch CANARY')",
    "get_flashed_messages.__globals__.__builtins__.open('CANARY', 'w')",
    "(input.message | attr('__class__'))",
    "([input] | map(attribute='__class__') | list)[0]",
    "input.message.format.__globals__",
    "'{0.__class__}' | format(input.message)",
    "__import__('os').system('touch CANARY')",
    "eval(input.code)",
    "exec(input.code)",
    "open('CANARY', 'w')",
    "globals()",
    "os.system('touch CANARY')",
    "type('x', (), {})",
    "input.code()",
    "input.__reduce__()",
]
_STATEMENTS = [
    "{% import 'os' as os %}{{ os.system('touch CANARY') }}",
    "{% from 'os' import system %}{{ system('touch CANARY') }}",
    "{% include '/etc/passwd' %}",
    "{% extends '/etc/passwd' %}",
    "{% set x = ''.__class__ %}{{ x }}",
    "{% for c in ''.__class__.__base__.__subclasses__() %}{{ c }}{% endfor %}",
    "{% macro m() %}{{ caller.__globals__ }}{% endmacro %}{% call m() %}{% endcall %}",
    "{% do input.update({'a': 1}) %}",
    "{%- autoescape false -%}{{ input.__class__ }}{%- endautoescape -%}",
]
# Nothing but text to us, wherever it stands.
_INERT: list[Json] = [
    {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"command": "touch CANARY"}},
    {"__class__": "os.system", "py/object": "os.system", "py/reduce": [{"py/function": "os.system"}, ["touch CANARY"]]},
    "!!python/object/apply:os.system ['touch CANARY']",
    "gASVIQAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAx0b3VjaCBDQU5BUlmUhZRSlC4=",
    "@exec('raise SystemExit')\ndef run():\n    pass",
    'f\'{__import__("os").system("touch CANARY")}\'',
    "${7*7} #{7*7} <%= 7*7 %> @(7*7) %{7*7} $(touch CANARY) `touch CANARY`",
    {"command": "npx", "args": ["-y", "something"], "code": "import os; os.system('touch CANARY')"},
]
_SCOPE: dict[str, Json] = {
    "input": {"message": "Hello", "code": "__import__('os').system('touch CANARY')"},
    "context": {},
    "nodes": {"before": {"output": "{{ input.__class__ }}"}},
    "output": "output",
}


@pytest.mark.parametrize("expression", _EXPRESSIONS)
def test_C28_expressions_do_nothing(expression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a template or as a condition each is refused or fails in a sentence, and nothing happens."""
    monkeypatch.chdir(tmp_path)
    with _watched() as done:
        for text in (
            f"{{{{ {expression} }}}}",
            f"text {{{{ {expression} }}}}",
            f"{{% if {expression} %}}x{{% endif %}}",
        ):
            with pytest.raises(CodexError):
                templates.render(text, _SCOPE)
        with pytest.raises(CodexError):
            conditions.holds(expression, _SCOPE)
    assert (done, list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize("statement", _STATEMENTS)
def test_C28_statements_do_nothing(statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with _watched() as done, pytest.raises(CodexError):
        templates.render(statement, _SCOPE)
    assert (done, list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize("value", _INERT, ids=range(len(_INERT)))
def test_C28_what_is_no_template_is_text(value: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes out as it went in; what a template's value holds is not a template again."""
    monkeypatch.chdir(tmp_path)
    with _watched() as done:
        assert templates.render(value, _SCOPE) == value
        assert templates.render("{{ input.given }}", {**_SCOPE, "input": {"given": value}}) == value
        assert templates.render("{{ nodes.before.output }}", _SCOPE) == "{{ input.__class__ }}"
    assert (done, list(tmp_path.iterdir())) == ([], [])


def test_C28_the_watch_would_see_it(tmp_path: Path) -> None:
    """The hook that the others rely on hears of a program that is started."""
    with _watched() as done, pytest.raises(FileNotFoundError):
        subprocess.Popen([str(tmp_path / "nothing")])
    assert done == ["subprocess.Popen"]


_heard: list[str] | None = None
_EVENTS = ("os.system", "subprocess.Popen", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "pty.spawn", "socket.")


def _hear(event: str, _arguments: Any) -> None:
    if _heard is not None and event.startswith(_EVENTS):
        _heard.append(event)


sys.addaudithook(_hear)


@contextmanager
def _watched() -> Iterator[list[str]]:
    """Hear of programs started and sockets opened; a hook of Python's cannot be taken away, only not listened to."""
    global _heard
    _heard = done = []
    try:
        yield done
    finally:
        _heard = None

"""Templates: what they come to, what they may not do, and that none runs away."""

import time

import pytest

from core.errors import CodexError
from server.agents.flow import templates
from server.agents.flow.definition import Json

SCOPE: dict[str, Json] = {
    "input": {"message": "Hello", "n": 3, "ratio": 0.5, "none": None, "yes": True, "items": "its own", "many": [1, 2]},
    "context": {},
    "nodes": {"find": {"output": {"hits": [{"text": "a", "score": 0.9}, {"text": "b", "score": 0.1}]}}},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("{{ input.message }}", "Hello"),
        ("{{ input.n }}", 3),
        ("{{ input.none }}", None),
        ("{{ nodes.find.output.hits }}", [{"text": "a", "score": 0.9}, {"text": "b", "score": 0.1}]),
        ("{{ nodes['find'].output.hits[0].text }}", "a"),
        ("{{ nodes.find.output.hits | map(attribute='text') | list }}", ["a", "b"]),
        ("{{ nodes.find.output.hits | map(attribute='text') }}", ["a", "b"]),
        ("{{ input.n + 1 }}", 4),
        ("{{ input.n * 2 }}", 6),
        ("{{ input.missing | default('none') }}", "none"),
        ("{{ input.missing is defined }}", False),
        ("{{ 'yes' if input.yes else 'no' }}", "yes"),
        # A field of an object, and never a method of Python's.
        ("{{ input.items }}", "its own"),
        (" {{ input.n }}", " 3"),
        ("{{ input.message }}!", "Hello!"),
        ("[{{ input.none }}]", "[]"),
        ("is {{ input.yes }}", "is true"),
        ("as {{ input.many }}", "as [1, 2]"),
        ("{{ input.n }}{{ input.n }}", "33"),
        ("{{ input.message ~ input.n }}", "Hello3"),
        ("{% for hit in nodes.find.output.hits %}{{ loop.index }} {{ hit.text }}\n{% endfor %}", "1 a\n2 b\n"),
        ("{% for key, value in context | items %}{{ key }}{% else %}nothing{% endfor %}", "nothing"),
        ("{% set greeting = input.message %}{{ greeting }}, you", "Hello, you"),
        ("{{ input.many | tojson }}", "[1, 2]"),
        ("{{ '{\"a\": 1}' | fromjson }}", {"a": 1}),
        ("{{ input.many | join('-') }}", "1-2"),
        ("{{ '\x00' }}", "\x00"),
        ("{{ {'a': input.n, 'b': [input.message]} }}", {"a": 3, "b": ["Hello"]}),
    ],
)
def test_template_comes_to_a_value(text: str, value: Json) -> None:
    """A string that is one expression keeps its value's type; every other comes to text."""
    rendered = templates.render(text, SCOPE)
    assert (rendered, type(rendered)) == (value, type(value))


def test_configuration_is_filled_in_however_deep() -> None:
    """Strings in lists and objects are templates as well; keys are not."""
    config: Json = {"a": ["{{ input.n }}", {"{{ b }}": "{{ input.message }}"}], "c": 1}
    assert templates.render(config, SCOPE) == {"a": [3, {"{{ b }}": "Hello"}], "c": 1}


@pytest.mark.parametrize(
    "text",
    [
        "{{ input.message",
        "{% if %}",
        "{{ input.message | upper() | nosuch }}",
        "{{ input is nosuch }}",
        "{{ ''.join(['a']) }}",
        "{{ range(10) }}",
        "{{ input.message.upper() }}",
        "{{ lipsum() }}",
        "{{ cycler }}",
        "{{ self }}",
        "{{ namespace(a=1) }}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{% extends 'x' %}",
        "{% block b %}{% endblock %}",
        "{% set x %}{% endset %}",
        "{% filter upper %}x{% endfilter %}",
        "{{ 2 ** 9 }}",
        "{% for a in input recursive %}{{ loop(a) }}{% endfor %}",
        "{% for a in input %}{% for b in input %}{% for c in input %}x{% endfor %}{% endfor %}{% endfor %}",
        "{{ secrets.key }}",
        "{{ config }}",
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        "x{{ 1 }}" * 20_000,
    ],
)
def test_fault_is_told_in_a_sentence(text: str) -> None:
    """What is no template, or would be more than one, has a fault that its author can read."""
    fault = templates.fault(text)
    assert fault is not None
    assert fault.endswith(".")
    assert len(fault) < 400


@pytest.mark.parametrize(
    "text",
    [
        "{{ input.__class__ }}",
        "{{ input['__class__'] }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ input.message.format }}",
        "{{ [] | map(attribute='__class__') | first }}",
        "{{ input | map(attribute='__class__') | list }}",
        "{{ (input.message | map('attr', '__class__')) }}",
        "{{ input.many | map('nosuch') | list }}",
        "{{ loop }}",
        "{% for x in [1] %}{{ loop.__init__ }}{% endfor %}",
        "{% for x in [1] %}{{ loop._iterable }}{% endfor %}",
        "{{ input.missing }}",
        "a {{ input.missing }}",
        "{{ input.many[7] }}",
        "{{ 1 / 0 }}",
        "{{ 1e308 * 10 }}",
        "{{ 'a' * 5 }}",
        "{{ [1] * 5 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ input.message | center(99999999) }}",
        "{{ 'a' | indent(999999999) }}",
        "{{ input.many | tojson(indent=99999999) }}",
        "{{ 1 | tojson | fromjson | join }}",
    ],
)
def test_escape_comes_to_nothing(text: str) -> None:
    """Nothing but fields of JSON is seen, and nothing is multiplied."""
    with pytest.raises(CodexError) as refused:
        templates.render(text, SCOPE)
    assert "object at" not in refused.value.message


_BIG: dict[str, Json] = {
    "input": {"text": "a" * 900_000, "list": list(range(100_000)), "texts": ["a" * 1000] * 900},
    "context": {},
    "nodes": {},
}


@pytest.mark.parametrize(
    "text",
    [
        "{{ input.text ~ input.text }}",
        "{{ input.text + input.text }}",
        "{{ input.text }}{{ input.text }}",
        "{{ input.text | replace('a', 'bbbbbbbbbb') }}",
        "{{ input.list | join(input.text) }}",
        "{% for a in input.list %}{% for b in input.list %}{% endfor %}{% endfor %}",
        "{% for a in input.list %}{{ input.list | sort | length }}{% endfor %}",
        "{% for a in input.list %}{{ a in input.list }}{% endfor %}",
        "{{ input.texts | map('replace', 'a', input.text) | list }}",
        "{% set a = input.text %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
        "{{ [input.list, input.list] | sum }}",
        "".join(f"{{% if input.list == {n} or input.list | sort | sum > 1 %}}{{% endif %}}" for n in range(800)),
    ],
)
def test_template_that_would_run_away_is_stopped(text: str) -> None:
    """Neither time nor memory is without bound, whatever the values are."""
    began = time.thread_time()
    with pytest.raises(CodexError):
        templates.render(text, _BIG)
    assert time.thread_time() - began < 5  # of the processor: the machine may be busy


def test_names_tell_what_a_template_looks_at() -> None:
    """Validation asks which nodes a template speaks of."""
    compiled = templates.compiled(
        "{{ nodes.a.output }} {{ nodes['b'].output }} {% for x in input.l %}{{ x }}{% endfor %}"
    )
    assert (compiled.roots, compiled.nodes) == (frozenset({"nodes", "input"}), frozenset({"a", "b"}))


@pytest.mark.parametrize("text", ["{{ input.given }}", "{{ input }}", "{{ [input.given] }}"])
def test_nobody_names_a_secret_by_what_they_send(text: str) -> None:
    """A value that looks like a reference to a secret would be resolved as if the flow's author had written it."""
    with pytest.raises(CodexError, match="secret"):
        templates.render({"token": text}, {"input": {"given": {"$secret": "stripe/live"}}})

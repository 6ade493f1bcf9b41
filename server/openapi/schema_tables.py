"""JSON schemas for people: what a field is, in a line of words, and what a value of it could look like."""

import re
from collections.abc import Mapping
from html import escape
from typing import Any

Json = Mapping[str, Any]

_LIMITS = {
    "minimum": "from {}",
    "maximum": "to {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}
_STRINGS = {
    "date-time": "2027-01-01T00:00:00Z",
    "uuid": "01a20557-a025-719e-abe7-1643716b6f27",
    "email": "ada@example.com",
}


def prose(text: str) -> str:
    """Return `text` as paragraphs, what stands in backticks as code."""
    paragraphs = [re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(part)) for part in text.split("\n\n")]
    return "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs if paragraph.strip())


def kind(schema: Json | bool) -> str:
    """Return what a value is, with links to the models it is made of."""
    if isinstance(schema, bool):
        return "anything" if schema else "nothing"
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#model-{name}">{name}</a>'
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " ".join(f"<code>{escape(str(value))}</code>" for value in values)
    for together in ("anyOf", "oneOf"):
        if together in schema:
            return " or ".join(dict.fromkeys(kind(each) for each in schema[together]))
    named = schema.get("type", "anything")
    words = " or ".join(named) if isinstance(named, list) else str(named)
    if named == "array":
        words = f"list of {kind(schema.get('items', {}))}"
    notes = [words, *(_LIMITS[limit].format(schema[limit]) for limit in _LIMITS if limit in schema)]
    return ", ".join([*notes, *([schema["format"]] if "format" in schema else [])])


def fields(schema: Json) -> str:
    """Return the table of an object's fields."""
    required = schema.get("required", [])
    rows = "".join(
        row(name, field, required=name in required)
        for name, field in schema.get("properties", {}).items()
        if field is not False
    )
    return f"<table>{rows}</table>" if rows else f"<p>{kind(schema)}</p>"


def row(name: str, schema: Json | bool, *, required: bool, description: str = "") -> str:
    """Return one field, or one parameter, as a row."""
    told = "" if isinstance(schema, bool) else description or schema.get("description", "")
    default = None if isinstance(schema, bool) else schema.get("default")
    notes = f' <span class="soft">default <code>{escape(str(default))}</code></span>' if default is not None else ""
    mark = ' <span class="must">required</span>' if required else ""
    return f"<tr><td><code>{escape(name)}</code>{mark}</td><td>{kind(schema)}{notes}{prose(told)}</td></tr>"


def example(schema: Json | bool, models: Json, depth: int = 0) -> Any:
    """Return a value as `schema` has it: its own example where there is one, the required fields of an object."""
    if isinstance(schema, bool) or depth > 6:
        return None
    if "$ref" in schema:
        return example(models[schema["$ref"].rpartition("/")[2]], models, depth + 1)
    for given in ("example", "default", "const"):
        if schema.get(given) is not None:
            return schema[given]
    for several in ("examples", "enum"):
        if schema.get(several):
            return schema[several][0]
    if choices := schema.get("anyOf", schema.get("oneOf")):
        return example(choices[0], models, depth + 1)
    return _made_up(schema, models, depth)


def _made_up(schema: Json, models: Json, depth: int) -> Any:
    match schema.get("type"):
        case "object":
            asked = {name: schema.get("properties", {}).get(name, True) for name in schema.get("required", [])}
            return {name: example(field, models, depth + 1) for name, field in asked.items()}
        case "array":
            return [example(schema.get("items", {}), models, depth + 1)]
        case "string":
            return _STRINGS.get(schema.get("format", ""), "…")
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
    return None

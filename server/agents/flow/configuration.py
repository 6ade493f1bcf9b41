"""The configuration of one node, as far as it can be judged before its templates are filled in."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from server.agents.flow import conditions, templates
from server.agents.flow.definition import Json
from server.agents.flow.faults import Checked, CheckedType, Reference, Visible, escaped, model_of

BODY = "body"
SECRET = "$secret"
_PREFIX = "prefix"
_MOST_FAULTS = 50
_LONGEST_NAME = 255
# Nothing but one node's output, or a field of it: then its type is known before it runs.
_ONE_OUTPUT = re.compile(r"\s*\{\{-?\s*nodes\.(\w+)\.output((?:\.\w+)*)\s*-?\}\}\s*")


def has_body(node_type: CheckedType) -> bool:
    """Whether nodes of this type run others, which stand in their configuration."""
    return BODY in node_type.raw_fields


def check_config(checked: Checked, config: Mapping[str, Json], at: str, node_type: CheckedType, see: Visible) -> bool:
    """Note what is wrong with it and what it refers to; return whether it fits its type so far."""
    before = len(checked.faults)
    _check_texts(checked, config, at, node_type, see)
    for pointer, secret in _secrets(dict(config), at, skip=BODY if has_body(node_type) else ""):
        _check_secret(checked, secret, pointer)
    _check_model(checked, config, at, node_type)
    _check_fit(checked, config, at, node_type, see)
    return len(checked.faults) == before


def _check_texts(checked: Checked, config: Mapping[str, Json], at: str, node_type: CheckedType, see: Visible) -> None:
    said_in_cel = _fields_said_in("cel", model_of(node_type))
    filled_in_later = _fields_said_in("template", model_of(node_type))
    inside = see.inside() if has_body(node_type) else see
    for name, value in config.items():
        raw = name in node_type.raw_fields
        if raw and name == BODY:
            continue
        for pointer, text in _strings(value, f"{at}/{escaped(name)}"):
            if not raw or _named(pointer) in filled_in_later:
                check_template(checked, text, pointer, see)
            elif _named(pointer) in said_in_cel:
                check_condition(checked, text, pointer, inside)


def check_template(checked: Checked, text: str, at: str, see: Visible) -> None:
    if not templates.is_template(text):
        return
    fault = templates.fault(text)
    if fault is None:
        compiled = templates.compiled(text)
        fault = see.fault_of(compiled.roots, compiled.nodes)
    if fault is not None:
        checked.fault("bad_template", at, fault)


def check_condition(checked: Checked, text: str, at: str, see: Visible) -> None:
    fault = conditions.fault(text)
    if fault is None:
        compiled = conditions.compiled(text)
        fault = see.fault_of(compiled.roots, compiled.nodes)
    if fault is not None:
        checked.fault("bad_condition", at, fault)


def _check_secret(checked: Checked, secret: Mapping[str, Json], at: str) -> None:
    key = secret[SECRET]
    prefix = secret.get(_PREFIX, "")
    if not isinstance(key, str) or not 0 < len(key) <= _LONGEST_NAME or secret.keys() - {SECRET, _PREFIX}:
        told = 'A secret is referred to as {"$secret": "its key"}, perhaps with a "prefix", and nothing else.'
        checked.fault("bad_secret", at, told)
    elif not isinstance(prefix, str) or templates.is_template(prefix):
        checked.fault("bad_secret", f"{at}/{_PREFIX}", "What stands before a secret is text, and no template.")
    elif templates.is_template(key):
        # Who may run a flow would choose which secret it takes.
        checked.fault("bad_secret", f"{at}/{SECRET}", "A secret is named in the flow; no template can choose it.")
    else:
        checked.references.append(Reference(kind="secret", name=key, pointer=f"{at}/{SECRET}"))


def _check_model(checked: Checked, config: Mapping[str, Json], at: str, node_type: CheckedType) -> None:
    try:
        model_of(node_type).model_validate(dict(config))
    except ValidationError as error:
        told = {fault.pointer for fault in checked.faults}
        for each in error.errors(include_url=False)[:_MOST_FAULTS]:
            if each["loc"][:1] == (BODY,) and has_body(node_type) and isinstance(config.get(BODY), Mapping):
                continue  # the check of the body says it, and more
            pointer, value = _located(config, at, each["loc"], missing=each["type"] == "missing")
            rendered = not each["loc"] or each["loc"][0] not in node_type.raw_fields
            if isinstance(value, str) and templates.is_template(value) and rendered:
                continue  # what it comes to is checked when it is known
            if not any(f"{pointer}/".startswith(f"{known}/") for known in told):
                told.add(pointer)
                checked.fault("bad_config", pointer, each["msg"].removeprefix("Value error, "))
    except (RecursionError, ValueError, TypeError):
        checked.fault("bad_config", at, "This configuration cannot be read.")


def _located(config: Mapping[str, Json], at: str, loc: tuple[int | str, ...], *, missing: bool) -> tuple[str, Any]:
    """Return the pointer to what a model complains about: where types are alternatives it names those as well."""
    value: Any = config
    for place, step in enumerate(loc):
        found = (isinstance(value, Mapping) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and step < len(value)
        )
        if found:
            value, at = value[step], f"{at}/{escaped(str(step))}"
        elif missing and place == len(loc) - 1:
            return f"{at}/{escaped(str(step))}", None
    return at, value


def _check_fit(checked: Checked, config: Mapping[str, Json], at: str, node_type: CheckedType, see: Visible) -> None:
    takes = _types_by_field(model_of(node_type))
    for name, value in config.items():
        wanted = takes.get(name)
        one = _ONE_OUTPUT.fullmatch(value) if isinstance(value, str) and name not in node_type.raw_fields else None
        source = see.type_of(one[1]) if one else None
        if one is None or source is None:
            continue
        schema: Any = source.output_schema
        for step in one[2].split(".")[1:]:
            schema = _field(schema, step)
            if schema is None:
                message = f"The output of {one[1]!r} has no {step!r}."
                checked.fault("type_mismatch", f"{at}/{escaped(name)}", message)
                break
        given = _types(schema, {}) if schema is not None else None
        if wanted is not None and given is not None and wanted.isdisjoint(given):
            message = f"This takes {_any_of(wanted)}, and the output of {one[1]!r} is {_any_of(given)}."
            checked.fault("type_mismatch", f"{at}/{escaped(name)}", message)


def _field(schema: Any, name: str) -> Any:
    """Return the schema of an object's field; {} where nothing is known, None where it is known to have no such."""
    if not isinstance(schema, Mapping) or not isinstance(schema.get("properties"), Mapping):
        return {}
    known = schema["properties"].get(name)
    if known is not None:
        return known
    return None if schema.get("additionalProperties") is False else {}


@lru_cache(maxsize=256)
def _types_by_field(model: type[BaseModel]) -> Mapping[str, frozenset[str] | None]:
    schema = model.model_json_schema()
    return {name: _types(each, schema.get("$defs", {})) for name, each in schema.get("properties", {}).items()}


def _types(schema: Any, known: Mapping[str, Any]) -> frozenset[str] | None:
    """Return which JSON types a schema lets through; None: it may be any."""
    if not isinstance(schema, Mapping):
        return None
    if "$ref" in schema:
        return _types(known.get(str(schema["$ref"]).rpartition("/")[2]), known)
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            each = [_types(one, known) for one in schema[choice]]
            return None if None in each else frozenset().union(*(one for one in each if one is not None))
    named = schema.get("type")
    if named is None:
        return None
    types = {named} if isinstance(named, str) else set(named)
    return frozenset(types | ({"integer"} if "number" in types else set()))


def _any_of(types: frozenset[str]) -> str:
    return " or ".join(sorted(types))


@lru_cache(maxsize=256)
def _fields_said_in(language: str, model: type[BaseModel]) -> frozenset[str]:
    """Return the names of fields, at whatever depth, whose schema has this `format`: cel, or template."""
    schema = model.model_json_schema()
    found: set[str] = set()
    for each in (schema, *schema.get("$defs", {}).values()):
        for name, field in each.get("properties", {}).items():
            choices = (field, field.get("items", {}), *field.get("anyOf", ()))
            if any(choice.get("format") == language for choice in choices):
                found.add(name)
    return frozenset(found)


def _named(pointer: str) -> str:
    """Return the last step of a pointer that is no place in a list."""
    return next(step for step in reversed(pointer.split("/")) if not step.isdigit())


def _strings(value: Json, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _strings(each, f"{at}/{index}")
    elif isinstance(value, Mapping):
        for name, each in value.items():
            if name != SECRET:
                yield from _strings(each, f"{at}/{escaped(name)}")


def _secrets(value: Json, at: str, skip: str = "") -> Iterator[tuple[str, Mapping[str, Json]]]:
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _secrets(each, f"{at}/{index}")
    elif isinstance(value, Mapping):
        if SECRET in value:
            yield at, value
        for name, each in value.items():
            if name != skip:
                yield from _secrets(each, f"{at}/{escaped(name)}")

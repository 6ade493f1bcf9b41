"""The page about every node type, made from what the registry says of it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from server.agents.nodes.base import NodeConfig, NodeType, Registry

_EFFECTS = {
    "pure": "computes and touches nothing; to run it again does no harm",
    "read": "reads; to run it again does no harm",
    "call": "calls what is outside; each call is journalled and made under a key that stays the same",
}
_HEAD = """# Node types

Made by `make artefacts` from the code; `GET /api/v1/agents/node-types` answers the same, with JSON Schemas. How nodes
make a flow is in [flows.md](../flows.md), how flows run in [executions.md](../executions.md).

Strings of a configuration are templates unless the field says otherwise. Every type may be told these besides its own:
"""


def as_markdown(registry: Registry) -> str:
    """Return the page: what all have, then a section for each type under its name."""
    common = "\n".join(_rows(NodeConfig.model_json_schema(), frozenset()))
    parts = [_HEAD, _TABLE + common, *(_section(node_type) for node_type in registry.values())]
    return "\n".join(part.rstrip() + "\n" for part in parts)


_TABLE = "| Field | | |\n|---|---|---|\n"


def _section(node_type: "NodeType[Any]") -> str:
    schema = node_type.config_model.model_json_schema(by_alias=True)
    common = frozenset(NodeConfig.model_fields)
    rows = list(_rows(schema, node_type.raw_fields, leave_out=common))
    ports = ", ".join(f"`{port}`" for port in sorted(node_type.ports({})))
    lines = [f"## {node_type.name}", "", node_type.description, "", f"It {_EFFECTS[node_type.effect]}."]
    if ports:
        lines[-1] += f" It leaves by a port, of {ports} and those that its configuration names."
    if rows:
        lines += ["", _TABLE + "\n".join(rows)]
    if node_type.output_schema:
        lines += ["", "Output:", "", "```json", json.dumps(node_type.output_schema, indent=1), "```"]
    return "\n".join(lines)


def _rows(schema: Mapping[str, Any], raw: frozenset[str], *, leave_out: frozenset[str] = frozenset()) -> Iterator[str]:
    models = schema.get("$defs", {})
    for name, field in schema.get("properties", {}).items():
        if name in leave_out:
            continue
        notes = [field.get("description", "")]
        if name in schema.get("required", []):
            notes.append("Required.")
        elif field.get("default") not in (None, "", [], {}):
            notes.append(f"Default `{json.dumps(field['default'])}`.")
        if name in raw:
            notes.append("No template.")
        told = " ".join(note for note in notes if note).replace("|", "\\|").replace("\n", " ")
        yield f"| `{name}` | {_kind(field, models)} | {told} |"


def _kind(field: Mapping[str, Any], models: Mapping[str, Any]) -> str:
    if "$ref" in field:
        named = models.get(field["$ref"].rpartition("/")[2], {})
        fields = ", ".join(f"`{name}`" for name in named.get("properties", {}))
        return f"object of {fields}" if fields else "object"
    if "enum" in field:
        return " ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        kinds = [_kind(each, models) for each in field["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if field.get("type") == "array":
        return f"list of {_kind(field.get('items', {}), models)}"
    return str(field.get("type", "anything"))

"""Each kind of break is found, and what breaks nobody is not."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from server.openapi.compatibility import breaks

OPERATION = "POST /notes"


def released() -> Any:
    note = {
        "type": "object",
        "required": ["text"],
        "additionalProperties": False,
        "properties": {
            "text": {"type": "string", "maxLength": 100},
            "kind": {"enum": ["short", "long"], "type": "string"},
            "rank": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Note"}},
        },
    }
    ours = {**deepcopy(note), "title": "Kept", "required": ["text", "kind"]}
    del ours["additionalProperties"]
    ours["properties"]["parts"]["items"] = {"$ref": "#/components/schemas/Kept"}
    return {
        "paths": {
            "/notes": {
                "post": {
                    "security": [{"key": ["notes:write"]}],
                    "parameters": [
                        {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}},
                        {"name": "Prefer", "in": "header", "schema": {"type": "string"}},
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Note"}},
                            "multipart/form-data": {"schema": {"$ref": "#/components/schemas/Note"}},
                        },
                    },
                    "responses": {
                        "201": {
                            "headers": {"ETag": {}},
                            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Kept"}}},
                        },
                        "409": {"content": {}},
                    },
                }
            },
            "/open": {"get": {"security": [], "responses": {}}},
        },
        "components": {"schemas": {"Note": note, "Kept": ours}},
    }


def post(document: Any) -> Any:
    return document["paths"]["/notes"]["post"]


def asked(document: Any) -> Any:
    return document["components"]["schemas"]["Note"]


def kept(document: Any) -> Any:
    return document["components"]["schemas"]["Kept"]


def fields(schema: Any) -> Any:
    return schema["properties"]


BREAKS: dict[str, Callable[[Any], object]] = {
    "POST /notes: the operation is gone": lambda d: d["paths"].pop("/notes"),
    "POST /notes: answer 409 is gone": lambda d: post(d)["responses"].pop("409"),
    "POST /notes: answer 201 has lost the header ETag": lambda d: post(d)["responses"]["201"]["headers"].clear(),
    "POST /notes: answer 201 is no longer application/json": lambda d: post(d)["responses"]["201"]["content"].clear(),
    "POST /notes: body is no longer multipart/form-data": lambda d: post(d)["requestBody"]["content"].pop(
        "multipart/form-data"
    ),
    "POST /notes: the body is gone": lambda d: post(d).pop("requestBody"),
    "POST /notes: query limit is gone": lambda d: post(d)["parameters"].pop(0),
    "POST /notes: query limit is required": lambda d: post(d)["parameters"][0].update(required=True),
    "POST /notes: query page is required": lambda d: post(d)["parameters"].append(
        {"name": "page", "in": "query", "required": True, "schema": {"type": "integer"}}
    ),
    "POST /notes: query limit has a maximum of 50, it was 100": lambda d: post(d)["parameters"][0]["schema"].update(
        maximum=50
    ),
    "POST /notes: header Prefer has another pattern: ^a$": lambda d: post(d)["parameters"][1]["schema"].update(
        pattern="^a$"
    ),
    "POST /notes: query limit was integer and is boolean": lambda d: post(d)["parameters"][0]["schema"].update(
        type="boolean"
    ),
    "POST /notes: key with notes:write no longer suffices": lambda d: post(d)["security"][0]["key"].append("admin"),
    "GET /open: a credential is demanded": lambda d: d["paths"]["/open"]["get"]["security"].append({"key": []}),
    "POST /notes: body application/json/kind is required": lambda d: asked(d)["required"].append("kind"),
    "POST /notes: body application/json/kind is gone": lambda d: fields(asked(d)).pop("kind"),
    "POST /notes: body application/json/kind no longer takes 'long'": lambda d: fields(asked(d))["kind"]["enum"].pop(),
    "POST /notes: body application/json/text is now one of ['a']": lambda d: fields(asked(d))["text"].update(
        enum=["a"]
    ),
    "POST /notes: body application/json/text has a maxLength of 9, it was 100": lambda d: fields(asked(d))[
        "text"
    ].update(maxLength=9),
    "POST /notes: body application/json/text has another format: uuid": lambda d: fields(asked(d))["text"].update(
        format="uuid"
    ),
    "POST /notes: body application/json/text has a minLength of 1, it was free": lambda d: fields(asked(d))[
        "text"
    ].update(minLength=1),
    "POST /notes: body application/json/rank no longer takes null": lambda d: fields(asked(d))["rank"]["anyOf"].pop(),
    "POST /notes: answer 201 application/json/kind is gone": lambda d: fields(kept(d)).pop("kind"),
    "POST /notes: answer 201 application/json/kind may be absent": lambda d: kept(d)["required"].remove("kind"),
    "POST /notes: answer 201 application/json/kind may now be 'huge'": lambda d: fields(kept(d))["kind"]["enum"].append(
        "huge"
    ),
    "POST /notes: answer 201 application/json/kind is no longer one of ['long', 'short']": lambda d: fields(kept(d))[
        "kind"
    ].pop("enum"),
    "POST /notes: answer 201 application/json/rank may now be string": lambda d: fields(kept(d))["rank"][
        "anyOf"
    ].append({"type": "string"}),
    "POST /notes: answer 201 application/json/text was string and is integer": lambda d: fields(kept(d))["text"].update(
        type="integer"
    ),
}

HARMLESS: dict[str, Callable[[Any], object]] = {
    "nothing": lambda d: None,
    "a new operation": lambda d: d["paths"].update({"/new": deepcopy(d["paths"]["/open"])}),
    "a new optional field asked": lambda d: fields(asked(d)).update(tone={"type": "string"}),
    "a field no longer required": lambda d: asked(d)["required"].clear(),
    "a new field answered": lambda d: fields(kept(d)).update(id={"type": "string"}),
    "a wider limit": lambda d: post(d)["parameters"][0]["schema"].update(maximum=200),
    "a new choice": lambda d: fields(asked(d))["kind"]["enum"].append("huge"),
    "a further type taken": lambda d: fields(asked(d))["rank"]["anyOf"].append({"type": "string"}),
    "a value never answered any more": lambda d: fields(kept(d))["kind"]["enum"].pop(),
    "any value taken": lambda d: fields(asked(d))["kind"].pop("enum"),
    "a longer text taken": lambda d: fields(asked(d))["text"].pop("maxLength"),
    "a shorter text answered": lambda d: fields(kept(d))["text"].update(maxLength=9),
    "a further media type taken": lambda d: post(d)["requestBody"]["content"].update({"text/plain": {"schema": {}}}),
    "a body no longer required": lambda d: post(d)["requestBody"].update(required=False),
    "a type never answered any more": lambda d: fields(kept(d))["rank"]["anyOf"].pop(),
    "a further way to authenticate": lambda d: post(d)["security"].append({"token": ["other"]}),
    "a scope less": lambda d: post(d)["security"][0]["key"].clear(),
    "a new error": lambda d: post(d)["responses"].update({"429": {"content": {}}}),
}


@pytest.mark.parametrize("expected", BREAKS)
def test_break_is_found(expected: str) -> None:
    """And named so that whoever lists it says what they mean."""
    changed = released()
    BREAKS[expected](changed)
    assert expected in breaks(released(), changed)


@pytest.mark.parametrize("change", HARMLESS)
def test_addition_is_no_break(change: str) -> None:
    """What clients send still does, and what they read is still there."""
    changed = released()
    HARMLESS[change](changed)
    assert breaks(released(), changed) == []

"""The OpenAPI 3.1 document, built from the registry."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from core.errors import ApiError
from server.openapi.headers import ANSWERED, answered_with, asked
from server.openapi.models import JSON, PROBLEM, Answer, ErrorEnvelope, FormBody, Problem
from server.openapi.registry import Operation, RequestHeader
from server.openapi.tags import TAGS

# One event of the stream; `data` is JSON.
_EVENT = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["id", "event", "data"],
}
_EVENTS = {"text/event-stream": {"schema": _EVENT}}
_REF = "#/components/schemas/{model}"

Json = dict[str, Any]


def document(operations: Iterable[Operation], *, title: str, version: str) -> Json:
    """Return the document; two calls with the same operations return the same."""
    listed = list(operations)
    references, schemas = _schemas(listed)
    paths: Json = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": "/", "description": "The installation that serves this document."}],
        "tags": _tags(listed),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": ANSWERED,
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, `cxk_live_…` or `cxk_test_…`.",
                },
                "accessToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access token of a session, from `POST /api/v1/auth/token`.",
                },
            },
        },
    }


def _tags(operations: Iterable[Operation]) -> list[Json]:
    used = dict.fromkeys(operation.tag for operation in operations)
    return [{"name": tag, **({"description": TAGS[tag]} if tag in TAGS else {})} for tag in used]


def _schemas(operations: Iterable[Operation]) -> tuple[Mapping[type[BaseModel], Json], Json]:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {
        (ErrorEnvelope, "serialization"): None,
        (Problem, "serialization"): None,
    }
    for operation in operations:
        wanted |= {(model, "validation"): None for model in operation.bodies.values()}
        wanted |= {(model, "serialization"): None for model in operation.answers.values() if model.media_type == JSON}
    references, schema = models_json_schema(list(wanted), ref_template=_REF)
    named = schema["$defs"]
    for model, _ in wanted:
        named |= getattr(model, "named_schemas", {})
    return {model: references[model, mode] for model, mode in wanted}, dict(sorted(named.items()))


def _operation(operation: Operation, references: Mapping[type[BaseModel], Json]) -> Json:
    described: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": _responses(operation, references),
        "security": _security(operation),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.bodies:
        described["requestBody"] = {"required": True, "content": _content(operation, references)}
    return described


def _security(operation: Operation) -> list[Json]:
    if operation.requires is None:
        return []
    scopes = [operation.scope] if operation.scope is not None else []
    schemes = ["accessToken"] if operation.requires.person else ["apiKey", "accessToken"]
    return [{scheme: scopes} for scheme in schemes]


def _parameters(operation: Operation) -> list[Json]:
    parameters: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(operation, name)}
        for name in operation.path_parameters
    ]
    if operation.query is not None:
        schema = operation.query.model_json_schema()
        required = schema.get("required", [])
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": field}
            for name, field in schema["properties"].items()
        ]
    parameters += [
        {"name": header.name, "in": "header", "description": header.description, "schema": _header_schema(header)}
        for header in operation.headers
    ]
    return parameters + asked(operation)


def _path_schema(operation: Operation, name: str) -> Json:
    named = operation.named.get(name)
    if named is None:
        return {"type": "string"}
    return {"type": "string", "pattern": f"^{named.pattern}$", "maxLength": named.longest}


def _header_schema(header: RequestHeader) -> Json:
    return {"type": "string"} if header.pattern is None else {"type": "string", "pattern": header.pattern}


def _content(operation: Operation, references: Mapping[type[BaseModel], Json]) -> Json:
    content: Json = {}
    for media_type, model in operation.bodies.items():
        content[media_type] = {"schema": references[model]}
        if issubclass(model, FormBody) and model.json_parts:
            content[media_type]["encoding"] = {
                part: {"contentType": "application/json"} for part in sorted(model.json_parts)
            }
    return content


def _responses(operation: Operation, references: Mapping[type[BaseModel], Json]) -> Json:
    responses: Json = {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "headers": answered_with(operation, status),
            "content": _media_types(model, references) | (_EVENTS if operation.streams and status == 200 else {}),
        }
        for status, model in operation.answers.items()
    }
    refused: Json = {JSON: {"schema": references[ErrorEnvelope]}, PROBLEM: {"schema": references[Problem]}}
    sentences: dict[int, list[str]] = {}
    for error in operation.all_errors:
        sentences.setdefault(error.status, []).append(_sentence(error))
    for status, told in sentences.items():
        if status not in operation.answers:
            headers = answered_with(operation, status)
            responses[str(status)] = {"description": "\n\n".join(told), "headers": headers, "content": refused}
    responses["default"] = {
        "description": "Any other failure.",
        "headers": answered_with(operation, 500),
        "content": refused,
    }
    return responses


def _media_types(model: type[Answer], references: Mapping[type[BaseModel], Json]) -> Json:
    schema = references[model] if model.media_type == JSON else {"type": "string"}
    return {model.media_type: {"schema": schema}}


def _sentence(error: type[ApiError]) -> str:
    return f"`{error.code}`: {' '.join((error.__doc__ or '').split())}"

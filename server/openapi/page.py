"""The document as one page for people: no script, nothing loaded from elsewhere, good on paper too."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from server.openapi.schema_tables import example, fields, kind, prose, row

Json = Mapping[str, Any]

# Where a tag is not what a heading should say.
_TITLES = {"api-keys": "API keys", "auth": "Sessions", "mfa": "Second factor", "openapi": "This document", "rag": "RAG"}
_STYLE_FILE = Path(__file__).with_name("page.css")
_INTRODUCTION = (
    "Send an API key or an access token as `Authorization: Bearer …`. Bodies are JSON where nothing else is said, and"
    " are read strictly: unknown fields are refused. Every refusal has one form, with a code from the list of errors"
    " and the request's id; with `Accept: application/problem+json` it comes as problem details.\n\n"
    "Lists come in pages: by `skip` and `limit`, or by `cursor`, which items made meanwhile do not move. A change sent"
    " with an `Idempotency-Key` is done once, however often it is sent. Every answer tells what is left of the rate"
    " limit. Headers that any operation takes are told once, here:"
)


@cache
def _style() -> str:
    return _STYLE_FILE.read_text("utf-8")


def policy() -> str:
    """Return the Content-Security-Policy under which the page works: its own style, and nothing else at all."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def page(document: Json, errors: Iterable[Json]) -> str:
    """Return the page. `errors` is the catalogue."""
    title = f"{document['info']['title']} {document['info']['version']}"
    models = document["components"]["schemas"]
    rooms: dict[str, list[tuple[str, str, Json]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            rooms.setdefault(operation["tags"][0], []).append((method, path, operation))
    common = _common_headers(rooms)
    parts = [_introduction(title, common)]
    for room, listed in rooms.items():
        operations = "".join(_operation(*each, models=models, common=common) for each in listed)
        parts.append(f'<h2 id="{escape(room)}">{_title(room)}</h2>{operations}')
    parts += [_models(models), _errors(errors)]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_style()}</style></head><body>{_navigation(rooms)}<main>{''.join(parts)}</main></body></html>\n"
    )


def _navigation(rooms: Mapping[str, list[tuple[str, str, Json]]]) -> str:
    blocks = []
    for room, listed in rooms.items():
        links = "".join(
            f'<li><a href="#{operation["operationId"]}">{_short(operation["summary"])}</a></li>'
            for _, _, operation in listed
        )
        blocks.append(f'<strong><a href="#{escape(room)}">{_title(room)}</a></strong><ul>{links}</ul>')
    further = '<strong><a href="#models">Models</a></strong><br><strong><a href="#errors">Errors</a></strong>'
    return f"<nav>{''.join(blocks)}{further}</nav>"


def _title(room: str) -> str:
    return escape(_TITLES.get(room, room.capitalize()))


def _short(summary: str) -> str:
    return escape(re.split(r"[.:;](?:\s|$)", summary, maxsplit=1)[0].replace("`", ""))


def _common_headers(rooms: Mapping[str, list[tuple[str, str, Json]]]) -> dict[str, Json]:
    common = ("X-Request-ID", "X-Tenant-ID", "Idempotency-Key")
    given = (parameter for listed in rooms.values() for *_, each in listed for parameter in each["parameters"])
    return {parameter["name"]: parameter for parameter in given if parameter["name"] in common}


def _introduction(title: str, common: Mapping[str, Json]) -> str:
    rows = "".join(_parameter({**parameter, "required": False}) for parameter in common.values())
    document = '<p>For machines: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
    return f"<h1>{escape(title)}</h1>{document}{prose(_INTRODUCTION)}<table>{rows}</table>"


def _parameter(parameter: Json) -> str:
    return row(
        parameter["name"],
        parameter["schema"],
        required=parameter.get("required", False),
        description=parameter.get("description", ""),
    )


def _operation(method: str, path: str, operation: Json, *, models: Json, common: Mapping[str, Json]) -> str:
    parameters = "".join(_parameter(each) for each in operation["parameters"] if each["name"] not in common)
    bodies = "".join(
        f"<tr><td><code>{escape(media_type)}</code></td><td>{kind(content['schema'])}</td></tr>"
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items()
    )
    answers = "".join(_answer(status, told) for status, told in operation["responses"].items() if status != "default")
    return (
        f'<section><h3 id="{operation["operationId"]}"><span class="method {method}">{method.upper()}</span>'
        f"<code>{escape(path)}</code></h3>"
        f"{prose(operation['summary'])}{prose(operation.get('description', ''))}{_demands(operation)}"
        + _table("Parameters", parameters)
        + _table("Body", bodies)
        + _table("Answers", answers)
        + f"<h4>Example</h4><pre><code>{escape(_curl(method, path, operation, models))}</code></pre></section>"
    )


def _table(heading: str, rows: str) -> str:
    return f"<h4>{heading}</h4><table>{rows}</table>" if rows else ""


def _demands(operation: Json) -> str:
    if not operation["security"]:
        return '<p class="soft">Open to everybody.</p>'
    scopes = {scope for way in operation["security"] for each in way.values() for scope in each}
    needed = " ".join(f"<code>{escape(scope)}</code>" for scope in sorted(scopes))
    by_key = any("apiKey" in way for way in operation["security"])
    who = "API key or access token" if by_key else "Access token of a session; no API key"
    return f'<p class="soft">{who}{f", with scope {needed}" if needed else ""}.</p>'


def _answer(status: str, told: Json) -> str:
    content = told.get("content", {}).get("application/json", {}).get("schema")
    shown = f" {kind(content)}" if content is not None and int(status) < 400 else ""
    return f"<tr><td><code>{status}</code></td><td>{prose(told['description'])}{shown}</td></tr>"


def _curl(method: str, path: str, operation: Json, models: Json) -> str:
    lines = ["curl -s" + (f" -X {method.upper()}" if method != "get" else "") + f' "$API{path}"']
    if operation["security"]:
        lines.append('-H "Authorization: Bearer $KEY"')
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        body = json.dumps(example(content["application/json"]["schema"], models), ensure_ascii=False)
        lines += ["-H 'Content-Type: application/json'", "-d '" + body.replace("'", "'\\''") + "'"]
    return " \\\n  ".join(lines)


def _models(models: Json) -> str:
    shown = "".join(
        f'<section><h3 id="model-{escape(name)}"><code>{escape(name)}</code></h3>'
        f"{prose(schema.get('description', ''))}{fields(schema)}</section>"
        for name, schema in sorted(models.items())
    )
    return f'<h2 id="models">Models</h2>{shown}'


def _errors(errors: Iterable[Json]) -> str:
    rows = "".join(
        f"<tr{_anchor(entry, position)}><td><code>{escape(entry['code'])}</code></td><td>{case['status']}</td>"
        f"<td>{prose(case['when'])}</td></tr>"
        for entry in errors
        for position, case in enumerate(entry["cases"])
    )
    return f'<h2 id="errors">Errors</h2><table>{rows}</table>'


def _anchor(entry: Json, position: int) -> str:
    # Problem details name a code as /docs#CODE.
    return f' id="{escape(entry["code"])}"' if position == 0 else ""

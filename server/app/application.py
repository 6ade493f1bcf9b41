"""One Sanic application: the registry's operations behind the hall, opened and closed with its process."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import cache
from itertools import chain
from types import SimpleNamespace
from typing import TYPE_CHECKING

from sanic import Request, Sanic
from sanic.config import Config
from sanic.response import BaseHTTPResponse

from core.clock import Clock, SystemClock
from server.agents.executions.following.routes import following
from server.agents.executions.routes import executions
from server.agents.flows.routes import flows
from server.agents.schedules.routes import schedules
from server.app.sockets import MAX_MESSAGE_BYTES, make_sockets, open_sockets
from server.app.versions import adapted, telling, until_sunset
from server.audit.routes import audit
from server.auth.api_keys.routes import api_keys
from server.auth.mfa.routes import mfa
from server.auth.sessions.routes import sessions, well_known
from server.auth.tenants.routes import tenants
from server.credentials.routes import credentials
from server.errors import EnvelopeErrorHandler
from server.health.routes import health
from server.middleware import passage
from server.middleware.authenticate import Authenticator
from server.middleware.body import BodyReader
from server.middleware.endpoint import Hall, endpoint
from server.middleware.idempotency import Effects
from server.middleware.rate_limit import RateLimit
from server.openapi.catalogue import catalogue
from server.openapi.document import document
from server.openapi.page import page
from server.openapi.registry import Operation
from server.openapi.routes import openapi
from server.openapi.versions import DEPRECATED, versions
from server.rag.answers.routes import answers
from server.rag.batches.routes import batches
from server.rag.documents.routes import documents
from server.rag.generations.routes import generations
from server.rag.golden_sets.routes import golden_sets
from server.rag.index_tags.routes import index_tags
from server.rag.jobs.routes import jobs
from server.rag.previews.routes import previews
from server.rag.queries.routes import queries
from server.rag.sources.routes import sources
from server.telemetry.routes import telemetry
from server.webhooks.deliveries.routes import deliveries
from server.webhooks.endpoints.routes import endpoints
from server.webhooks.events.routes import event_types, events
from server.webhooks.inbound.routes import inbound

if TYPE_CHECKING:
    from core.settings import Settings
    from server.wiring import Parts

App = Sanic[Config, SimpleNamespace]
OpenParts = Callable[["Settings"], AbstractAsyncContextManager["Parts"]]

TITLE, VERSION = "CodexOS API", "0.1.0"

# The framework closes the connection in the middle of a body longer than this, and reads shorter ones to their end:
# a client that is still sending would otherwise never see the answer that refuses its body.
_DRAINED_BYTES = 512 * 1024 * 1024
_CONFIG = {
    "ACCESS_LOG": False,
    "AUTO_EXTEND": False,
    "FALLBACK_ERROR_FORMAT": "json",
    "GRACEFUL_SHUTDOWN_TIMEOUT": 5.0,
    "KEEP_ALIVE_TIMEOUT": 75,
    "MOTD": False,
    "REQUEST_MAX_SIZE": _DRAINED_BYTES,
    "REQUEST_TIMEOUT": 30,
    "WEBSOCKET_MAX_SIZE": MAX_MESSAGE_BYTES,
    "WEBSOCKET_PING_INTERVAL": 20,
    "WEBSOCKET_PING_TIMEOUT": 20,
    "RESPONSE_TIMEOUT": 90,  # longer than the longest `Prefer: wait`
}


def operations() -> list[Operation]:
    """Return every operation of the API, room by room."""
    return list(
        chain(
            health,
            openapi,
            versions,
            sessions,
            well_known,
            mfa,
            api_keys,
            tenants,
            audit,
            batches,
            documents,
            jobs,
            previews,
            queries,
            answers,
            generations,
            golden_sets,
            sources,
            index_tags,
            endpoints,
            deliveries,
            event_types,
            events,
            inbound,
            credentials,
            flows,
            schedules,
            executions,
            following,
        )
    )


def create_app(settings: "Settings", *, open_parts: OpenParts | None = None, clock: Clock | None = None) -> App:
    """Return the application. What it works with is opened in each process that serves it, and closed there."""
    app: App = Sanic("codexos", error_handler=EnvelopeErrorHandler(), configure_logging=False)
    app.config.update(_CONFIG)
    listed = operations()
    app.ctx.openapi, app.ctx.docs = _published()
    for operation in (*listed, *telemetry):
        app.add_route(
            endpoint(operation, _hall),
            operation.route,
            methods=[operation.method],
            name=operation.name,
        )
    open_sockets(app, settings)
    passage.watch(app, limits=_tell_limits, tells=_serve_deprecated(app, listed, clock or SystemClock()))
    _register_life(app, settings, open_parts)
    return app


@cache
def _published() -> tuple[str, str]:
    """Return the document and the page that shows it: the same for every application of a process."""
    listed = operations()
    published = document(listed, title=TITLE, version=VERSION)
    return json.dumps(published, separators=(",", ":")), page(published, catalogue(listed))


def _serve_deprecated(app: App, listed: list[Operation], clock: Clock) -> list[passage.Tell]:
    tells = []
    for version in DEPRECATED:
        by_successor = adapted(listed, version)
        for successor, operation in by_successor.items():
            handle = until_sunset(endpoint(operation, _hall), version, successor=successor, clock=clock)
            app.add_route(handle, operation.route, methods=[operation.method], name=operation.name)
        successors = {operation.path: successor for successor, operation in by_successor.items()}
        tells.append(telling(version, successors))
    return tells


def _hall(request: Request) -> Hall:
    hall: Hall = request.app.ctx.hall
    return hall


async def _tell_limits(request: Request, response: BaseHTTPResponse) -> None:
    await _hall(request).rate_limit.finish(request, response)


def _register_life(app: App, settings: "Settings", open_parts: OpenParts | None) -> None:
    opened = AsyncExitStack()

    async def open_everything(app: App) -> None:
        parts = await opened.enter_async_context((open_parts or _default_parts())(settings))
        app.ctx.parts = parts
        app.ctx.hall = Hall(
            authenticate=Authenticator(parts.authentication),
            rate_limit=RateLimit(parts.rate_limiter, trusted_proxies=settings.trusted_proxies),
            bodies=BodyReader(max_bytes=settings.max_upload_bytes),
            effects=Effects(parts.database, parts.idempotency, parts.envelope),
        )
        app.ctx.sockets = make_sockets(parts)

    async def stop_waiting(app: App) -> None:
        app.ctx.parts.jobs.stopping.set()
        app.ctx.parts.executions.stop()
        app.ctx.parts.followers.stop()

    async def close_everything(app: App) -> None:
        await opened.aclose()

    app.register_listener(open_everything, "before_server_start")
    app.register_listener(stop_waiting, "before_server_stop")
    app.register_listener(close_everything, "after_server_stop")


def _default_parts() -> OpenParts:
    # Imported by the processes that serve only: it brings LanceDB and the model runtime along.
    from server.wiring import open_parts

    return open_parts

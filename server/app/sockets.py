"""The door of the socket: who may open one, from which page, and how the framework's connection is spoken to."""

import asyncio
import math
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sanic import Request, Sanic
from sanic.config import Config
from sanic.server.websockets.impl import WebsocketImplProtocol

from core.errors import AuthenticationFailed, AuthorizationFailed, RateLimitExceeded, ValidationFailed
from server.agents.socket.service import Sockets
from server.auth.principal import Principal
from server.middleware.rate_limit import address_of
from server.middleware.strict_json import parse

if TYPE_CHECKING:
    from core.settings import Settings
    from server.wiring import Parts

SUBPROTOCOL = "codexos"
MAX_MESSAGE_BYTES = 1024 * 1024
_BEARER = "bearer."
_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")


class _SanicWire:
    def __init__(self, socket: WebsocketImplProtocol) -> None:
        self._socket = socket

    async def receive(self) -> bytes:
        data = await self._socket.recv()
        if data is None:
            raise asyncio.CancelledError
        return data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)

    async def send(self, text: str) -> None:
        await self._socket.send(text)

    def fail(self, code: int, reason: str) -> None:
        self._socket.fail_connection(code, reason)


def open_sockets(app: Sanic[Config, SimpleNamespace], settings: "Settings") -> None:
    """Serve `/ws/{client_id}`."""

    async def talk(request: Request, socket: WebsocketImplProtocol, *, token: str | None) -> None:
        tenant = request.headers.get("x-tenant-id")
        await app.ctx.sockets.serve(_SanicWire(socket), token=token, tenant=tenant)

    async def door(request: Request, client_id: str) -> None:
        _check(request, client_id, settings)
        token, as_header = _credential(request)
        parts: Parts = app.ctx.parts
        if token is not None and as_header:
            await parts.authentication.principal(token, tenant=request.headers.get("x-tenant-id"))
        else:
            decision = await parts.rate_limiter.of_address(address_of(request, settings.trusted_proxies))
            request.ctx.rate = decision
            if not decision.allowed:
                raise _too_often(decision.retry_after_seconds)
        spoken = [SUBPROTOCOL] if SUBPROTOCOL in _offered(request) else None
        # The framework shakes hands before it calls a handler of its own making; here the checks above come first.
        await app._websocket_handler(talk, request, token=token, subprotocols=spoken)  # type: ignore[no-untyped-call]

    door.is_websocket = True  # type: ignore[attr-defined]  # the framework asks for this mark
    app.enable_websocket()
    app.add_route(door, "/ws/<client_id>", methods=["GET"], name="socket")


def make_sockets(parts: "Parts") -> Sockets:
    """Return what the connections of this process share."""

    async def recognise(token: str, tenant: str | None) -> Principal:
        return await parts.authentication.principal(token, tenant=tenant)

    async def count(caller: Principal) -> None:
        decision = await parts.rate_limiter.of_caller(caller.tenant_id, caller.subject, caller.plan)
        if not decision.allowed:
            raise _too_often(decision.retry_after_seconds)

    return Sockets(
        executions=parts.executions,
        followers=parts.followers,
        clock=parts.executions.clock,
        parse=parse,
        recognise=recognise,
        count=count,
    )


def _too_often(seconds: float) -> RateLimitExceeded:
    return RateLimitExceeded("Too many requests.", retry_after_seconds=max(1, math.ceil(seconds)))


def _check(request: Request, client_id: str, settings: "Settings") -> None:
    """Raise for what opens no connection."""
    if request.headers.get("upgrade", "").lower() != "websocket":
        raise ValidationFailed("This address speaks WebSocket: open a connection.", violations=[])
    if not _CLIENT_ID.fullmatch(client_id):
        raise ValidationFailed("A client id is 1 to 128 letters, digits, dots, hyphens, underscores.", violations=[])
    if request.query_string:
        raise ValidationFailed(
            "Addresses are logged: send the token as Authorization header, as subprotocol, or in the first message.",
            violations=[],
        )
    for name in ("origin", "authorization", "x-tenant-id"):
        if len(request.headers.getall(name, [])) > 1:
            raise ValidationFailed(f"The request has more than one {name} header.", violations=[])
    origin = request.headers.get("origin")
    if origin is not None and not _is_allowed(origin, request, settings):
        raise AuthorizationFailed("Pages of this origin may not connect here.", origin=origin[:200])


def _is_allowed(origin: str, request: Request, settings: "Settings") -> bool:
    own = urlsplit(settings.public_url)
    allowed = {f"{own.scheme}://{own.netloc}", *settings.websocket_origins}
    return origin in allowed or urlsplit(origin).netloc == request.headers.get("host")


def _credential(request: Request) -> tuple[str | None, bool]:
    """Return the token that came with the handshake, and whether as a header: then an answer can refuse it."""
    given: str | None = request.headers.get("authorization")
    if given is not None:
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise AuthenticationFailed("Send a credential: Authorization: Bearer <API key or access token>")
        return token.strip(), True
    for name in _offered(request):
        if name.startswith(_BEARER):
            return name.removeprefix(_BEARER), False
    return None, False


def _offered(request: Request) -> list[str]:
    lines = request.headers.getall("sec-websocket-protocol", [])
    return [name.strip() for line in lines for name in line.split(",")]

"""One client's connection: messages are answered in order, executions followed beside them, nothing piles up.

A client that is slow is told less often: deltas that waited are one. One that takes nothing at all is let go, and goes
on later from the last number it has. Whatever it follows ends with its credential.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import ValidationError

from core.clock import Clock
from core.errors import ApiError, AuthenticationFailed, AuthorizationFailed, LimitExceeded, ValidationFailed
from core.log import get_logger
from server.agents.executions.following.service import Followers
from server.agents.executions.schemas import micros_of
from server.agents.executions.service import ExecutionService, NewExecution
from server.agents.socket.messages import (
    MESSAGES,
    AnswerType,
    Authenticate,
    Cancel,
    Execute,
    Message,
    Ping,
    Respond,
    Resume,
    Subscribe,
    answer,
)
from server.auth.principal import Principal, Scope
from server.openapi.violations import violations_of

log = get_logger()

NOT_AUTHENTICATED, TOO_SLOW_OR_MANY, GOING_AWAY = 4401, 4429, 1001
MOST_FOLLOWED = 256
_FIRST_MESSAGE_SECONDS = 10.0
_LOOK_AT_CREDENTIAL_SECONDS = 1.0


class Wire(Protocol):
    """A connection that is open. `send` waits while the client takes nothing; what ends it raises CancelledError."""

    async def receive(self) -> bytes: ...

    async def send(self, text: str) -> None: ...

    def fail(self, code: int, reason: str) -> None:
        """End it without waiting for the client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """What every connection of a process works with. `parse` reads JSON strictly, `recognise` a credential.

    `count` takes one message off the caller's limit. Raises RateLimitExceeded.
    """

    executions: ExecutionService
    followers: Followers
    clock: Clock
    parse: Callable[[bytes], Any]
    recognise: Callable[[str, str | None], Awaitable[Principal]]
    count: Callable[[Principal], Awaitable[None]]
    most_of_a_tenant: int = 2_000
    slow_seconds: float = 30.0
    connected: dict[str, int] = field(default_factory=dict)

    async def serve(self, wire: Wire, *, token: str | None, tenant: str | None) -> None:
        """Serve until the client leaves, its credential ends, or this process does."""
        await _Connection(self, wire, token, tenant).serve()


class _Ended(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class _Connection:
    def __init__(self, sockets: Sockets, wire: Wire, token: str | None, tenant: str | None) -> None:
        self._sockets = sockets
        self._wire = wire
        self._token, self._tenant = token, tenant
        self._principal: Principal | None = None
        self._following: dict[str, asyncio.Task[None]] = {}
        self._ending: asyncio.Future[_Ended] = asyncio.get_running_loop().create_future()

    async def serve(self) -> None:
        counted: str | None = None
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._authenticate()
            counted = self._enter()
            await self._answer("ready", data={"heartbeat_seconds": 20})
            tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._watch())]
            waiting: list[asyncio.Future[Any]] = [self._ending, *tasks]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error
            if self._ending.done():
                raise self._ending.result()
        except _Ended as ended:
            self._wire.fail(ended.code, ended.reason)
        finally:
            if counted is not None:
                self._leave(counted)
            await _ended([*tasks, *self._following.values()])

    async def _authenticate(self) -> None:
        first: Authenticate | None = None
        if self._token is None:
            try:
                async with asyncio.timeout(_FIRST_MESSAGE_SECONDS):
                    message = self._read(await self._wire.receive())
            except (TimeoutError, ValidationFailed):
                raise _Ended(NOT_AUTHENTICATED, "Send an authenticate message first.") from None
            if not isinstance(message, Authenticate):
                raise _Ended(NOT_AUTHENTICATED, "Send an authenticate message first.")
            first = message
            self._token, self._tenant = first.token, first.tenant_id
        try:
            self._principal = await self._sockets.recognise(self._token, self._tenant)
        except (AuthenticationFailed, AuthorizationFailed, ValidationFailed) as error:
            raise _Ended(NOT_AUTHENTICATED, error.message) from None

    def _enter(self) -> str:
        tenant_id = str(self._caller.tenant_id)
        connected = self._sockets.connected
        if connected.get(tenant_id, 0) >= self._sockets.most_of_a_tenant:
            raise _Ended(TOO_SLOW_OR_MANY, "This tenant has too many connections.")
        connected[tenant_id] = connected.get(tenant_id, 0) + 1
        return tenant_id

    def _leave(self, tenant_id: str) -> None:
        connected = self._sockets.connected
        connected[tenant_id] -= 1
        if not connected[tenant_id]:
            del connected[tenant_id]

    @property
    def _caller(self) -> Principal:
        assert self._principal is not None
        return self._principal

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_AT_CREDENTIAL_SECONDS)
            assert self._token is not None
            try:
                self._principal = await self._sockets.recognise(self._token, self._tenant)
            except ApiError as error:
                if error.status < 500:  # what is away says nothing about it
                    raise _Ended(NOT_AUTHENTICATED, "The credential has ended.") from None
            if self._sockets.followers.is_stopping:
                raise _Ended(GOING_AWAY, "Go on at another process.")

    async def _listen(self) -> None:
        while True:
            raw = await self._wire.receive()
            message_id: str | None = None
            try:
                message = self._read(raw)
                message_id = message.id
                await self._do(message)
            except ApiError as error:
                data = {"code": error.code, "message": error.message, "details": dict(error.details)}
                await self._answer("error", data=data, message_id=message_id)
            except Exception:
                log.exception("socket.failed")
                data = {"code": "INTERNAL_ERROR", "message": "Something went wrong on our side.", "details": {}}
                await self._answer("error", data=data, message_id=message_id)

    def _read(self, raw: bytes) -> Message:
        value = self._sockets.parse(raw)
        try:
            return MESSAGES.validate_python(value)
        except ValidationError as error:
            raise ValidationFailed("The message is not valid.", violations=violations_of(error)) from None

    async def _do(self, message: Message) -> None:
        match message:
            case Ping():
                await self._answer("pong", data={}, message_id=message.id)
            case Authenticate():
                raise ValidationFailed("This connection is authenticated already.", violations=[])
            case Execute():
                await self._execute(message)
            case Subscribe() | Resume():
                await self._permit(Scope.AGENTS_READ)
                await self._follow(message.execution_id, message.after_seq, "subscribed", message.id)
            case Cancel():
                await self._permit(Scope.AGENTS_EXECUTE)
                view = await self._sockets.executions.cancel(self._caller, message.execution_id)
                await self._accepted(view.execution_id, view.status, message.id)
            case Respond():
                await self._permit(Scope.AGENTS_EXECUTE)
                view = await self._sockets.executions.respond(
                    self._caller, message.execution_id, message.path, message.answer
                )
                await self._accepted(view.execution_id, view.status, message.id)

    async def _permit(self, scope: Scope) -> None:
        await self._sockets.count(self._caller)
        if scope not in self._caller.scopes:
            raise AuthorizationFailed("This credential may not do that.", required_scope=scope)

    async def _execute(self, message: Execute) -> None:
        await self._permit(Scope.AGENTS_EXECUTE)
        self._refuse_more()
        view = await self._sockets.executions.start(
            self._caller,
            NewExecution(
                flow_id=message.flow_id,
                input=message.input,
                context=message.context,
                version=message.version,
                mode="socket",
                max_cost_micros=micros_of(message.max_cost),
                deadline_seconds=message.deadline_seconds,
                on_budget=message.on_budget,
            ),
        )
        await self._follow(view.execution_id, 0, "accepted", message.id)

    async def _follow(self, execution_id: str, after: int, as_: AnswerType, message_id: str | None) -> None:
        news = await self._sockets.followers.page(self._caller.tenant_id, execution_id, after=after, limit=0)
        assert news.standing is not None
        if (before := self._following.pop(execution_id, None)) is not None:
            await _ended([before])
        self._refuse_more()
        data = {"status": news.standing.state, "last_seq": news.standing.last_seq}
        await self._answer(as_, data=data, message_id=message_id, execution_id=execution_id)
        task = asyncio.create_task(self._tell(execution_id, after))
        self._following[execution_id] = task
        task.add_done_callback(lambda done: self._told(execution_id, done))

    def _refuse_more(self) -> None:
        if len(self._following) >= MOST_FOLLOWED:
            raise LimitExceeded(f"A connection follows {MOST_FOLLOWED} executions at most.", limit=MOST_FOLLOWED)

    async def _tell(self, execution_id: str, after: int) -> None:
        followed = self._sockets.followers.follow(self._caller.tenant_id, execution_id, after=after)
        async with aclosing(followed) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                for event in piece:
                    await self._send(event.written())

    def _told(self, execution_id: str, done: asyncio.Task[None]) -> None:
        if self._following.get(execution_id) is done:
            del self._following[execution_id]
        if done.cancelled() or (error := done.exception()) is None or self._ending.done():
            return
        if not isinstance(error, _Ended):
            log.warning("socket.follower_failed", error=repr(error))
        # Whoever misses an event must know: it comes back with the last number it has.
        self._ending.set_result(error if isinstance(error, _Ended) else _Ended(1011, "Connect again, and resume."))

    async def _accepted(self, execution_id: str, status: str, message_id: str | None) -> None:
        await self._answer("accepted", data={"status": status}, message_id=message_id, execution_id=execution_id)

    async def _answer(
        self, type_: AnswerType, *, data: Any, message_id: str | None = None, execution_id: str | None = None
    ) -> None:
        now = self._sockets.clock.now()
        await self._send(answer(type_, now=now, data=data, message_id=message_id, execution_id=execution_id))

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(self._sockets.slow_seconds):
                await self._wire.send(text)
        except TimeoutError:
            raise _Ended(TOO_SLOW_OR_MANY, "You take nothing. Connect again, and resume.") from None


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)

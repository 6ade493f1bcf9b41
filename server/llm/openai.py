"""A model behind any endpoint that speaks OpenAI's chat completions, by the official package."""

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.errors import ServiceUnavailable
from core.log import get_logger
from server.llm.base import EndpointBlocked, Message, ToolCall, ToolOffer, Usage
from server.llm.breaker import Breaker
from stores.egress import Egress, EgressFailed, Limits, Refused, Unreachable

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletionChunk

log = get_logger()

# Models think before the first word, and between words no longer than `read_seconds`. A token comes in some 300 bytes.
_LIMITS = Limits(seconds=300.0, connect_seconds=5.0, read_seconds=60.0, max_bytes=64 * 1024 * 1024, redirects=0)
_SENT = frozenset({"accept", "content-type"})
_MOST_CHARACTERS = 200_000
_MOST_TOOL_CALLS = 128
_TRIES = 3
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_TRY_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504})
_ENDLESS = "The language model does not come to an end."
_NOT_IN_FULL = "The language model did not answer in full. Try again in a moment."


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where to ask, and for which model."""

    base_url: str
    model: str
    api_key: str | None = field(default=None, repr=False)


class OpenAIChat:
    """Tries again until the first word has come, and never after it: half an answer twice is none."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        egress: Egress,
        *,
        breaker: Breaker | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self._endpoint = endpoint
        self._egress = egress
        self._sleep = sleep
        self._breaker = breaker or Breaker(now)

    async def say(
        self, messages: Sequence[Message], *, max_tokens: int, tools: Sequence[ToolOffer] = ()
    ) -> AsyncIterator[str | ToolCall | Usage]:
        self._breaker.check()
        asked: dict[str, Any] = {
            "model": self._endpoint.model,
            "messages": [_written(message) for message in messages],
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if tools:
            asked["tools"] = [_offered(tool) for tool in tools]
        try:
            async with asyncio.timeout(_LIMITS.seconds), self._answering(asked) as answer:
                async for said in _said(answer):
                    yield said
        except EndpointBlocked:
            raise
        except Exception as error:  # whatever the package makes of what a server sends
            self._breaker.failed()
            log.warning("model.failed", model=self.name, error=type(error).__name__)
            if isinstance(error, ServiceUnavailable):
                raise
            raise ServiceUnavailable(_NOT_IN_FULL) from None
        self._breaker.succeeded()

    @asynccontextmanager
    async def _answering(self, asked: dict[str, Any]) -> AsyncIterator[AsyncIterator["ChatCompletionChunk"]]:
        # Most processes never ask a model, and the package costs 0.8 s and 40 MiB to import.
        openai = importlib.import_module("openai")
        outbound = importlib.import_module("stores.egress.transport")
        adds = {"user-agent": self._egress.user_agent}
        if self._endpoint.api_key:
            adds["authorization"] = f"Bearer {self._endpoint.api_key}"
        transport = outbound.EgressTransport(self._egress, _LIMITS, adds=adds, sends=_SENT)
        async with outbound.outbound_client(transport) as http:
            client = self._client(openai, http)
            pause = _FIRST_PAUSE_SECONDS
            for attempt in range(1, _TRIES + 1):
                try:
                    answer = await client.chat.completions.create(**asked)
                    break
                except openai.APIStatusError as error:
                    wanted = _retry_after(error.response.headers.get("retry-after", ""), pause)
                    if error.status_code not in _TRY_AGAIN or attempt == _TRIES:
                        log.warning("model.refused", model=self.name, status=error.status_code)
                        message = "The language model refused the request; its settings need a look."
                        raise ServiceUnavailable(message) from None
                except (openai.APIConnectionError, EgressFailed):
                    failure = transport.failure
                    if isinstance(failure, Refused):
                        raise EndpointBlocked(failure.message) from None
                    if attempt == _TRIES or not isinstance(failure, Unreachable):
                        raise
                    wanted = pause
                await self._sleep(min(wanted, _LONGEST_PAUSE_SECONDS))
                pause *= 2
            async with answer:
                yield answer

    def _client(self, openai: Any, http: Any) -> "AsyncOpenAI":
        client: AsyncOpenAI = openai.AsyncOpenAI(
            api_key="none",  # stays here: ours is added below, where no exception or log of the package has it
            base_url=self._endpoint.base_url,
            http_client=http,
            max_retries=0,  # ours stand above: the package would try again what we count
            timeout=_LIMITS.seconds,
        )
        return client


async def _said(answer: AsyncIterator["ChatCompletionChunk"]) -> AsyncIterator[str | ToolCall | Usage]:
    """Read one answer. Raises ServiceUnavailable if it stops before its end."""
    characters, finished = 0, False
    calls: dict[int, dict[str, str]] = {}
    async for event in answer:
        for choice in event.choices or []:
            delta = choice.delta
            text = delta.content if delta else None
            if isinstance(text, str) and text:
                characters += len(text)
                yield text
            for part in (delta.tool_calls if delta else None) or []:
                call = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
                if part.id:
                    call["id"] = part.id
                if part.function:
                    call["name"] += part.function.name or ""
                    call["arguments"] += part.function.arguments or ""
                    characters += len(part.function.name or "") + len(part.function.arguments or "")
            finished = finished or choice.finish_reason is not None
        if characters > _MOST_CHARACTERS or len(calls) > _MOST_TOOL_CALLS:
            raise ServiceUnavailable(_ENDLESS)
        if event.usage is not None:
            spent = event.usage
            yield Usage(prompt_tokens=spent.prompt_tokens or 0, completion_tokens=spent.completion_tokens or 0)
    if not finished:
        raise ServiceUnavailable("The language model stopped in the middle of its answer. Try again in a moment.")
    for index, call in sorted(calls.items()):
        yield ToolCall(id=call["id"] or f"call_{index}", name=call["name"], arguments=call["arguments"])


def _written(message: Message) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        written["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        written["tool_call_id"] = message.tool_call_id
    return written


def _offered(tool: ToolOffer) -> dict[str, Any]:
    described = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": described}


def _retry_after(said: str, otherwise: float) -> float:
    return float(said) if said.isascii() and said.isdigit() else otherwise

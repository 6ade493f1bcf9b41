"""A model behind any endpoint that speaks OpenAI's chat completions, set by whoever runs this installation."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from core.errors import ServiceUnavailable
from core.log import get_logger
from server.llm.base import Message, Usage
from server.llm.breaker import Breaker

log = get_logger()

_CONNECT_SECONDS = 5.0
# Models think before the first word, and between words no longer than this.
_SILENCE_SECONDS = 60.0
_WHOLE_SECONDS = 300.0
_MOST_CHARACTERS = 200_000
_TRIES = 3
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_TRY_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504})


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
        http: httpx.AsyncClient,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self._endpoint = endpoint
        self._http = http
        self._sleep = sleep
        self._breaker = Breaker(now)

    async def say(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncIterator[str | Usage]:
        self._breaker.check()
        asked = {
            "model": self._endpoint.model,
            "messages": [asdict(message) for message in messages],
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        try:
            async with asyncio.timeout(_WHOLE_SECONDS), self._answering(asked) as answer:
                async for said in _said(answer):
                    yield said
        except (httpx.HTTPError, TimeoutError, ServiceUnavailable) as error:
            self._breaker.failed()
            log.warning("model.failed", model=self.name, error=repr(error))
            if isinstance(error, ServiceUnavailable):
                raise
            raise ServiceUnavailable("The language model did not answer in full. Try again in a moment.") from None
        self._breaker.succeeded()

    @asynccontextmanager
    async def _answering(self, asked: dict[str, Any]) -> AsyncIterator[httpx.Response]:
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(1, _TRIES + 1):
            try:
                asking = self._http.stream("POST", self._url, json=asked, headers=self._headers, timeout=_PATIENCE)
                async with asking as answer:
                    if answer.is_success:
                        yield answer
                        return
                    wanted = _retry_after(answer, pause)
                    if answer.status_code not in _TRY_AGAIN or attempt == _TRIES:
                        log.warning("model.refused", model=self.name, status=answer.status_code)
                        raise ServiceUnavailable("The language model refused the request; its settings need a look.")
            except httpx.ConnectError:
                if attempt == _TRIES:
                    raise
                wanted = pause
            await self._sleep(min(wanted, _LONGEST_PAUSE_SECONDS))
            pause *= 2

    @property
    def _url(self) -> str:
        return self._endpoint.base_url.rstrip("/") + "/chat/completions"

    @property
    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._endpoint.api_key}"} if self._endpoint.api_key else {}


_PATIENCE = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)


async def _said(answer: httpx.Response) -> AsyncIterator[str | Usage]:
    """Read the server-sent events of one answer. Raises ServiceUnavailable if it stops before its end."""
    characters, finished = 0, False
    async for line in answer.aiter_lines():
        if not line.startswith("data:"):
            continue  # comments keep a connection alive
        content = line.removeprefix("data:").strip()
        if content == "[DONE]":
            finished = True
            break
        event = _parsed(content)
        for choice in event.get("choices") or []:
            text = (choice.get("delta") or {}).get("content")
            if isinstance(text, str) and text:
                characters += len(text)
                yield text
            finished = finished or choice.get("finish_reason") is not None
        if characters > _MOST_CHARACTERS:
            raise ServiceUnavailable("The language model does not come to an end.")
        if isinstance(usage := event.get("usage"), dict):
            yield Usage(
                prompt_tokens=int(usage.get("prompt_tokens") or 0),
                completion_tokens=int(usage.get("completion_tokens") or 0),
            )
    if not finished:
        raise ServiceUnavailable("The language model stopped in the middle of its answer. Try again in a moment.")


def _parsed(content: str) -> dict[str, Any]:
    try:
        event = json.loads(content)
    except ValueError:
        event = None
    if not isinstance(event, dict) or "error" in event:
        raise ServiceUnavailable("The language model sent what is no answer. Try again in a moment.")
    return event


def _retry_after(answer: httpx.Response, otherwise: float) -> float:
    said = answer.headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() else otherwise

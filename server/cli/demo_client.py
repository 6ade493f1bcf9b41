"""A client of the running system, as the development tenant: what the demo and the first start speak through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from core.settings import Settings
from server.cli.refusal import Refusal

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoClient:
    """`key` opens `url`, the root of the API's process; paths of `call` begin behind /api/v1."""

    http: httpx.AsyncClient
    url: str
    key: str

    async def call(self, method: str, path: str, **asked: Any) -> dict[str, Any]:
        """Return the answer's body; asked to wait, wait and ask again, as every client should."""
        answer = await self.http.request(method, path, **asked)
        while answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            await asyncio.sleep(int(answer.headers["retry-after"]))
            answer = await self.http.request(method, path, **asked)
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[DemoClient]:
    """Yield the client. Raises Refusal if nothing answers, if an answer is an error, or if there is no key."""
    key = _key(settings)
    url = f"http://{_WILDCARDS.get(settings.http_host, settings.http_host)}:{settings.http_port}"
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers, timeout=90, trust_env=False) as http:
        try:
            yield DemoClient(http=http, url=url, key=key)
        except (httpx.TransportError, ConnectionError):
            raise Refusal(f"nothing answers at {url}/api/v1; start the system first with `make up`.") from None
        except httpx.HTTPStatusError as error:
            raise Refusal(f"the API answered {error.response.status_code}: {error.response.text}") from None


def _key(settings: Settings) -> str:
    try:
        return settings.dev_api_key_file.read_text("ascii").strip()
    except OSError as error:
        raise Refusal(
            f"there is no key in {settings.dev_api_key_file} ({error.strerror}); `make up` makes one."
        ) from None

"""Git over HTTP through the one way out: dulwich speaks the protocol, and stores.egress makes the connections."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from dulwich.client import AbstractHttpGitClient
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.object_store import ObjectStoreGraphWalker

from core.errors import IngestFailed, SourceNotFound, SourceUnavailable
from pipelines.sources.repository_address import RepositoryAddress
from pipelines.sources.web import failed, refuse
from stores.egress import Egress, EgressFailed, Limits, Reply

_IN_MEMORY = 1024 * 1024
_SHA = 40
# Services answer git clients only in this dialect, and tell them by this name.
_USER_AGENT = "git/CodexOS"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What dulwich asks of a response."""

    status: int
    content_type: str | None
    redirect_location: str | None

    def close(self) -> None:
        """The body lies in a file of ours already."""


class EgressGitClient(AbstractHttpGitClient):
    """Runs on a thread; its requests run on `loop`, within `limits` each."""

    def __init__(self, base_url: str, egress: Egress, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        super().__init__(base_url, quiet=True)
        self._egress, self._loop, self._limits = egress, loop, limits

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,
    ) -> tuple[Any, Callable[[int], bytes]]:
        content = data if data is None or isinstance(data, bytes) else b"".join(data)
        asking = self._ask(url, {**(headers or {}), "user-agent": _USER_AGENT}, content)
        reply, body = asyncio.run_coroutine_threadsafe(asking, self._loop).result()
        moved = reply.url if reply.url != url else None
        return _Answer(
            status=reply.status, content_type=reply.headers.get("content-type"), redirect_location=moved
        ), body.read

    async def _ask(self, url: str, headers: Mapping[str, str], content: bytes | None) -> tuple[Reply, IO[bytes]]:
        body: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - read by whoever asked
        method = "GET" if content is None else "POST"
        try:
            async with self._egress.stream(
                url, method=method, headers=headers, content=content, limits=self._limits
            ) as (reply, parts):
                refuse(reply)
                async for part in parts:
                    body.write(part)
        except EgressFailed as failure:
            raise failed(failure) from failure
        body.seek(0)
        return reply, body


async def download(egress: Egress, base_url: str, address: RepositoryAddress, pack: Path, limits: Limits) -> str:
    """Write the pack of one commit, without history, to `pack`; return what it is of. Raises IngestFailed."""
    client = EgressGitClient(base_url, egress, asyncio.get_running_loop(), limits)
    try:
        return await asyncio.to_thread(_fetched, client, address, pack)
    except IngestFailed:
        raise
    except NotGitRepository as error:
        raise SourceNotFound(f"There is no repository {address.full_name} that everybody may read.") from error
    except (GitProtocolError, HangupException, ValueError, AssertionError, KeyError, OSError) as error:
        raise SourceUnavailable(
            "The repository's server does not answer as git servers do. It is tried again."
        ) from error


def _fetched(client: EgressGitClient, address: RepositoryAddress, pack: Path) -> str:
    wanted: list[bytes] = []

    def determine_wants(refs: Mapping[Any, Any], depth: int | None = None) -> list[Any]:
        wanted.append(_sha_of(address, refs))
        return wanted

    with pack.open("wb") as file:
        client.fetch_pack(
            f"{address.full_name}.git",
            determine_wants,
            ObjectStoreGraphWalker([], lambda _: []),
            file.write,
            depth=1,
        )
    return wanted[0].decode("ascii")


def _sha_of(address: RepositoryAddress, refs: Mapping[Any, Any]) -> bytes:
    if address.ref is None:
        found = refs.get(b"HEAD")
    else:
        ref = address.ref.encode()
        found = refs.get(b"refs/heads/" + ref) or refs.get(b"refs/tags/" + ref)
        if found is None and len(ref) == _SHA and not ref.strip(b"0123456789abcdef"):
            found = ref
    if found is None:
        said = f"no branch, tag or commit {address.ref}" if address.ref else "nothing in it yet"
        raise SourceNotFound(f"The repository {address.full_name} has {said}.")
    return bytes(found)

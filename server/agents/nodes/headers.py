"""Headers that an author adds to what a node sends, and how a secret gets into one."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from server.agents.nodes.base import SecretReference, Step

# What decides where a request goes and how it is framed is ours to say.
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "expect", "trailer"})
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]


class SecretHeader(SecretReference):
    prefix: str = Field("", max_length=100, description="What stands before the secret, as in `Bearer `.")


def _are_not_ours(headers: dict[str, str | SecretHeader]) -> dict[str, str | SecretHeader]:
    for name, value in headers.items():
        if name.lower() in _OURS:
            raise ValueError(f"The header {name!r} is set by the system.")
        if isinstance(value, str) and any(ord(each) < 32 or ord(each) == 127 for each in value):
            raise ValueError(f"The header {name!r} has a control character in it.")
    return headers


Headers = Annotated[
    dict[HeaderName, str | SecretHeader],
    AfterValidator(_are_not_ours),
    Field(description='Header values; {"$secret": "key", "prefix": "Bearer "} for one that nobody is to see.'),
]


async def sent(step: Step[Any], headers: Mapping[str, str | SecretHeader], host: str) -> dict[str, str]:
    """Return `headers` as they go to `host`, names in lower case. Raises NodeFailed where a secret may not go there."""
    ready: dict[str, str] = {}
    for name, value in headers.items():
        if isinstance(value, SecretHeader):
            value = value.prefix + await step.secret(value, host)
        ready[name.lower()] = value
    return ready

"""What a secret, its tags and the hosts it may be sent to are called."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from server.openapi.registry import InPath
from vault.names import KEY, LONGEST_HOST, LONGEST_KEY, is_key

MOST_TAGS = 20
MOST_HOSTS = 50
TAG = r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}"
# A name, or a name with one "*." in front for everything below it. Addresses of digits are names here too.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST = rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*"

_KEY_RULE = "A key is 1 to 255 characters of A-Z a-z 0-9 . _ - and /, without empty, . or .. parts between its slashes"


def _named(value: str) -> str:
    if not is_key(value):
        raise ValueError(_KEY_RULE)
    return value


def _tagged(value: str) -> str:
    if not re.fullmatch(TAG, value):
        raise ValueError("A tag is a letter or digit and up to 63 of A-Z a-z 0-9 . _ : / -")
    return value


def _hosted(value: str) -> str:
    if len(value) > LONGEST_HOST or not re.fullmatch(HOST, value):
        raise ValueError("Write a host as api.example.com or *.example.com, in lower case, without port and path")
    return value


def _distinct(values: list[str]) -> list[str]:
    return sorted(set(values))


SecretKey = Annotated[
    str, AfterValidator(_named), Field(max_length=LONGEST_KEY, json_schema_extra={"pattern": f"^{KEY}$"})
]
KeyInPath = InPath(pattern=KEY, longest=LONGEST_KEY, message=_KEY_RULE)
Tag = Annotated[
    str, AfterValidator(_tagged), WithJsonSchema({"type": "string", "pattern": f"^{TAG}$", "maxLength": 64})
]
Tags = Annotated[list[Tag], Field(max_length=MOST_TAGS), AfterValidator(_distinct)]
Host = Annotated[
    str, AfterValidator(_hosted), WithJsonSchema({"type": "string", "pattern": f"^{HOST}$", "maxLength": LONGEST_HOST})
]
Hosts = Annotated[list[Host], Field(max_length=MOST_HOSTS), AfterValidator(_distinct)]

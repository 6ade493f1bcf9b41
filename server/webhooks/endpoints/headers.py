"""Headers that an endpoint asks to be sent along: named by RFC 9110, and none that is ours or the connection's."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from server.webhooks.signing import reserved, reserved_pattern

MOST_HEADERS = 20
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}"
# No line ends, no control characters, no spaces at the ends: what was written is what arrives.
_VALUE = r"[!-~](?:[ -~]{0,998}[!-~])?"


def _checked(headers: dict[str, str]) -> dict[str, str]:
    if len(headers) > MOST_HEADERS:
        raise ValueError(f"There are at most {MOST_HEADERS} headers")
    for name, value in headers.items():
        if not re.fullmatch(_NAME, name):
            raise ValueError("The name of a header has up to 100 letters, digits or !#$%&'*+-.^_`|~")
        if reserved(name):
            raise ValueError(f"The header {name} is set by the platform or the connection")
        if not re.fullmatch(_VALUE, value):
            raise ValueError(f"The value of {name} should be up to 1000 visible ASCII characters and spaces between")
    if len({name.lower() for name in headers}) < len(headers):
        raise ValueError("Names of headers are the same in upper and lower case: name each once")
    return headers


_SCHEMA: dict[str, Any] = {
    "type": "object",
    "maxProperties": MOST_HEADERS,
    "propertyNames": {"pattern": f"^{_NAME}$", "not": {"pattern": reserved_pattern()}},
    "additionalProperties": {"type": "string", "pattern": f"^{_VALUE}$"},
}
Headers = Annotated[dict[str, str], AfterValidator(_checked), WithJsonSchema(_SCHEMA)]

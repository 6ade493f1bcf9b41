"""What a secret is called, and what a host that it is sent to."""

import re

LONGEST_KEY = 255
LONGEST_HOST = 255
# Segments between slashes; none is empty, "." or "..". Without looking ahead, so that every reader of patterns agrees.
_SEGMENT = r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*|\.[A-Za-z0-9_-][A-Za-z0-9._-]*|\.\.[A-Za-z0-9._-]+)"
KEY = rf"{_SEGMENT}(?:/{_SEGMENT})*"
_HOST = re.compile(rf"[A-Za-z0-9._:-]{{1,{LONGEST_HOST}}}", re.ASCII)


def is_key(text: str) -> bool:
    return len(text) <= LONGEST_KEY and re.fullmatch(KEY, text) is not None


def is_host(text: str) -> bool:
    """Whether this may be the name or address of a host, no port, no brackets, other scripts in ASCII."""
    return _HOST.fullmatch(text) is not None

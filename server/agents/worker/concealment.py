"""Secrets that a run has seen, taken out of everything that it writes."""

import base64
import json
import urllib.parse

from core.redaction import REDACTED
from server.agents.flow.definition import Json

# A shorter value stands in too many texts that have nothing to do with it.
_SHORTEST = 4


class Concealment:
    def __init__(self) -> None:
        self._shapes: set[str] = set()
        self._longest = 0

    def add(self, value: str) -> None:
        """Also as it stands in JSON, in a URL, in hexadecimal, and in base64 as headers and as URLs have it."""
        if len(value) < _SHORTEST:
            return
        raw = value.encode("utf-8", "surrogatepass")
        shapes = {value, json.dumps(value)[1:-1], urllib.parse.quote(raw), urllib.parse.quote(raw, safe="")}
        shapes |= {base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("=")}
        shapes |= {raw.hex(), raw.hex().upper()}
        self._shapes |= shapes
        self._longest = max(self._longest, *map(len, shapes))

    @property
    def held_back(self) -> int:
        """How many characters at the end of a text that goes on may be the beginning of a secret."""
        return max(0, self._longest - 1)

    def text(self, text: str) -> str:
        for shape in sorted(self._shapes, key=len, reverse=True):
            text = text.replace(shape, REDACTED)
        return text

    def json(self, value: Json) -> tuple[str, Json]:
        """Return `value` as it may be written, as text and as itself."""
        text = json.dumps(value)
        if not self._shapes:
            return text, value
        cleaned = json.dumps(self._inside(value))
        return cleaned, json.loads(cleaned)

    def _inside(self, value: Json) -> Json:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._inside(each) for each in value]
        if isinstance(value, dict):
            return {self.text(name): self._inside(each) for name, each in value.items()}
        return value

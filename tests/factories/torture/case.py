"""What a torture case is: how its file is made, and how reading it may end."""

from collections.abc import Callable
from dataclasses import dataclass

READ = "READ"
BROKEN = "DOCUMENT_UNREADABLE"
LARGE = "DOCUMENT_TOO_LARGE"
LOCKED = "DOCUMENT_ENCRYPTED"
EMPTY = "EMPTY_DOCUMENT"
UNKNOWN = "UNSUPPORTED_FORMAT"
LATE = "PARSING_TIMED_OUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bait:
    """What a hostile file points at: an address that listens, and a file that holds a secret."""

    address: str
    secret_path: str

    @property
    def entities(self) -> bytes:
        """A document type that asks for both."""
        return (
            f'<!DOCTYPE d [<!ENTITY file SYSTEM "file://{self.secret_path}"><!ENTITY web SYSTEM "{self.address}/x">'
            f'<!ENTITY % outside SYSTEM "{self.address}/x.dtd">%outside;]>'
        ).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One file. `ends` are the outcomes that are right; `says` is text that must come out if it is read."""

    name: str
    make: Callable[[Bait], bytes]
    ends: tuple[str, ...] = (READ,)
    says: str = ""
    is_web_page: bool = False
    takes_seconds: bool = False


def simple(content: bytes) -> Callable[[Bait], bytes]:
    """Return a maker of something small that points at nothing."""
    return lambda _: content

"""What is sent to people, and who carries it."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from typing import Protocol

from core.errors import CodexError

# A dot-atom of RFC 6531. What else RFC 5322 would allow before the @ is read differently by different programs.
_LOCAL_PART = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*")
_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*", re.ASCII)


class Undeliverable(CodexError):
    """This letter cannot reach this address: trying again would not help."""

    code = "UNDELIVERABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A mail as it waits: what it is about, not yet what it says."""

    id: str
    kind: str
    content: Mapping[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    recipient: str
    subject: str
    text: str


# None: there is nobody to be told anything. Asked again for the same mail, it returns the same letter.
Compose = Callable[[Posted], Awaitable[Letter | None]]


class Carrier(Protocol):
    async def carry(self, letter: Letter, *, mail_id: str, posted_at: datetime) -> None:
        """Hand the letter on. Raises Undeliverable for good, anything else for now."""


def message_of(letter: Letter, *, sender: str, mail_id: str, posted_at: datetime) -> EmailMessage:
    """Return the letter in its envelope; sent twice, it is the same message. Raises Undeliverable."""
    recipient = routable(letter.recipient)
    message = EmailMessage(policy=SMTP if recipient.isascii() else SMTPUTF8)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(posted_at)
    message["Message-ID"] = f"<{mail_id}@{sender.rpartition('@')[2].rstrip('>')}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers it
    message.set_content(letter.text)
    return message


def routable(address: str) -> str:
    """Return the address as it goes on an envelope, its domain in ASCII. Raises Undeliverable."""
    local, _, domain = address.rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode()
    except UnicodeError:
        ascii_domain = ""
    if not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(ascii_domain.lower()):
        raise Undeliverable("No mail can be sent to such an address.")
    return f"{local}@{ascii_domain}"

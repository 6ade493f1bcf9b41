"""Letters handed to the SMTP server that the operator names."""

import asyncio
import contextlib
import smtplib
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import parseaddr
from enum import StrEnum
from pathlib import Path

from server.mail.letter import Letter, Undeliverable, message_of, routable


class Security(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    host: str
    port: int
    security: Security
    sender: str
    username: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    timeout_seconds: float = 10.0


class SmtpCarrier:
    """One connection a letter: there are few of them, and one that idles is closed by the other side."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def carry(self, letter: Letter, *, mail_id: str, posted_at: datetime) -> None:
        message = message_of(letter, sender=self._server.sender, mail_id=mail_id, posted_at=posted_at)
        await asyncio.to_thread(self._send, message, routable(letter.recipient))

    def _send(self, message: EmailMessage, recipient: str) -> None:
        client = self._connected()
        try:
            if self._server.security is Security.STARTTLS:
                client.starttls(context=self._tls())
            if self._server.username is not None:
                client.login(self._server.username, self._server.password or "")
            client.send_message(message, from_addr=parseaddr(self._server.sender)[1], to_addrs=[recipient])
        except smtplib.SMTPRecipientsRefused as refused:
            if all(code >= 500 for code, _ in refused.recipients.values()):
                raise Undeliverable("The mail server refuses this recipient.") from None
            raise
        except smtplib.SMTPDataError as refused:
            if refused.smtp_code >= 500:
                raise Undeliverable("The mail server refuses this letter.") from None
            raise
        except smtplib.SMTPNotSupportedError:
            raise Undeliverable("The mail server cannot send to an address of these characters.") from None
        finally:
            # It was taken or refused already: a bad farewell must not let it be sent again.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                client.quit()
            client.close()

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        # By name, or the library asks the network for ours.
        name = parseaddr(server.sender)[1].rpartition("@")[2]
        if server.security is Security.TLS:
            return smtplib.SMTP_SSL(
                server.host, server.port, local_hostname=name, timeout=server.timeout_seconds, context=self._tls()
            )
        return smtplib.SMTP(server.host, server.port, local_hostname=name, timeout=server.timeout_seconds)

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._server.ca_file)

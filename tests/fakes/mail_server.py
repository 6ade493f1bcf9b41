"""A mail server for tests: takes letters by SMTP (RFC 5321), or refuses them, and forgets none."""

import asyncio
import base64
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass(kw_only=True)
class MailServer:
    """`refuses` maps a command to the line it is answered with; `drops_after_data` hangs up instead of saying 250."""

    refuses: dict[str, str] = field(default_factory=dict)
    drops_after_data: bool = False
    holds_after_data: asyncio.Event | None = None
    tls: ssl.SSLContext | None = None
    users: dict[str, str] = field(default_factory=dict)
    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    secured: int = 0
    logged_in: int = 0
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def settings(self) -> dict[str, object]:
        """Return what `CODEXOS_SMTP` names it by."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "security": "none",
            "sender": "CodexOS <codexos@example.com>",
            "timeout_seconds": 5,
        }

    async def letter(self, number: int = 1, seconds: float = 30) -> EmailMessage:
        """Wait for that many letters; return the last of them."""
        async with asyncio.timeout(seconds), self.arrived:
            await self.arrived.wait_for(lambda: len(self.letters) >= number)
        return self.letters[number - 1]

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender = recipient = ""
        await _say(writer, "220 mail.example.com")
        while line := await reader.readline():
            said = line.decode().rstrip("\r\n")
            self.said.append(said)
            command = said.upper()
            refusal = next((answer for start, answer in self.refuses.items() if command.startswith(start)), None)
            if refusal is not None:
                await _say(writer, refusal)
            elif command.startswith("EHLO"):
                offers = ["SMTPUTF8", "8BITMIME", "AUTH PLAIN LOGIN", *(["STARTTLS"] if self.tls else []), "SIZE"]
                await _say(
                    writer, "250-mail.example.com", *(f"250-{each}" for each in offers[:-1]), f"250 {offers[-1]}"
                )
            elif command == "STARTTLS":
                await _say(writer, "220 go ahead")
                await writer.start_tls(self.tls or ssl.create_default_context())
                self.secured += 1
            elif command.startswith("AUTH PLAIN"):
                _, user, password = base64.b64decode(said.split()[2]).decode().split("\0")
                right = self.users.get(user) == password
                self.logged_in += right
                await _say(writer, "235 welcome" if right else "535 no")
            elif command.startswith("MAIL FROM:"):
                sender = _address(said)
                await _say(writer, "250 yes")
            elif command.startswith("RCPT TO:"):
                recipient = _address(said)
                await _say(writer, "250 yes")
            elif command == "DATA":
                await _say(writer, "354 go on")
                text = b""
                while (line := await reader.readline()) not in (b".\r\n", b""):
                    text += line[1:] if line.startswith(b".") else line
                await self._take(text, sender, recipient)
                if self.drops_after_data:
                    break
                await _say(writer, "250 taken")
            elif command == "QUIT":
                await _say(writer, "221 bye")
                break
            else:
                await _say(writer, "250 yes")
        writer.close()

    async def _take(self, text: bytes, sender: str, recipient: str) -> None:
        async with self.arrived:
            self.letters.append(message_from_bytes(text, policy=policy.default))  # type: ignore[arg-type]
            self.envelopes.append((sender, recipient))
            self.arrived.notify_all()
        if self.holds_after_data is not None:
            await self.holds_after_data.wait()


@asynccontextmanager
async def mail_server(**settings: object) -> AsyncIterator[MailServer]:
    """Serve on a free port of the loopback interface."""
    server = MailServer(**settings)  # type: ignore[arg-type]
    conversations: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await server.converse(reader, writer)
        writer.close()

    listening = await asyncio.start_server(converse, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in conversations:
            task.cancel()


async def _say(writer: asyncio.StreamWriter, *lines: str) -> None:
    writer.write("".join(f"{line}\r\n" for line in lines).encode())
    await writer.drain()


def _address(said: str) -> str:
    found = re.search(r"<([^>]*)>", said)
    return found[1] if found else ""

"""The mailroom against a mail server that is away, says no, hangs up or is left in the middle: nothing is lost."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from core.clock import FrozenClock, SystemClock
from core.ids import new_id
from core.settings import Settings
from server.auth.sessions.letters import PASSWORD_RESET
from server.cli.mailroom import mailroom
from server.mail.letter import Letter, Posted
from server.mail.service import Mailroom, Postbox
from server.mail.smtp import Security, SmtpCarrier, SmtpServer
from stores.sql.engine import Database
from stores.sql.models import MailRow, UserRow
from tests.fakes.dispatcher_process import DispatcherProcess
from tests.fakes.mail_server import MailServer, mail_server
from vault.envelope import Envelope
from vault.open import open_envelope

ENVELOPE = Envelope(bytes(32))
CLOCK = FrozenClock()
HOUR = timedelta(hours=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


async def greeting(posted: Posted) -> Letter:
    return Letter(recipient=posted.content["email"], subject="Grüße", text=f"Good morning, {posted.id}.\n.\nBye.\n")


def room(database: Database, server: MailServer, clock: FrozenClock = CLOCK) -> Mailroom:
    there = SmtpServer(
        host="127.0.0.1", port=server.port, security=Security.NONE, sender="codexos@example.com", timeout_seconds=5
    )
    return Mailroom(
        database=database,
        envelope=ENVELOPE,
        clock=clock,
        carrier=SmtpCarrier(there),
        composers={"greeting": greeting},
        lease=timedelta(minutes=2),
    )


async def post(database: Database, *emails: str, clock: Any = CLOCK, envelope: Envelope = ENVELOPE) -> None:
    postbox = Postbox(envelope=envelope, clock=clock, new_id=new_id)
    async with database.transaction() as session:
        for email in emails:
            postbox.post(session, "greeting", {"email": email}, lifetime=HOUR)


async def waiting(database: Database) -> list[MailRow]:
    async with database.reading() as session:
        return list((await session.scalars(select(MailRow))).all())


async def test_what_does_not_commit_is_not_sent(database: Database) -> None:
    """A mail is a row of the change that it tells of."""
    with pytest.raises(RuntimeError):
        async with database.transaction() as session:
            Postbox(envelope=ENVELOPE, clock=CLOCK, new_id=new_id).post(session, "greeting", {}, lifetime=HOUR)
            raise RuntimeError
    assert await waiting(database) == []


async def test_each_is_sent_once_by_however_many(database: Database) -> None:
    """Three mailrooms at once share twelve mails; what is in the text arrives as it was written, dots too."""
    emails = [f"{number}@example.com" for number in range(12)]
    await post(database, *emails)
    async with mail_server() as server:
        for _ in range(4):
            await asyncio.gather(*(room(database, server).turn() for _ in range(3)))
        assert sorted(to for _, to in server.envelopes) == sorted(emails)
        letter = server.letters[0]
        assert (letter["subject"], letter["auto-submitted"]) == ("Grüße", "auto-generated")
        assert letter.get_content().splitlines()[1:] == [".", "Bye."]
    assert await waiting(database) == []


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "EHLO"])
async def test_what_is_refused_for_now_is_tried_again(database: Database, command: str) -> None:
    """Whatever the server says no to with a 4xx; an hour later nobody wants it any more."""
    clock = FrozenClock()
    await post(database, "ada@example.com", clock=clock)
    async with mail_server(refuses={command: "451 later"}) as server:
        if command == "EHLO":
            server.refuses["HELO"] = "451 later"
        mails = room(database, server, clock)
        assert [await mails.turn(), await mails.turn()] == [1, 0]
        [row] = await waiting(database)
        assert (row.attempts, row.available_at > clock.now()) == (1, True)
        clock.advance(timedelta(seconds=10))
        server.refuses.clear()
        assert await mails.turn() == 1
        assert len(server.letters) == 1
        await post(database, "bob@example.com", clock=clock)
        clock.advance(HOUR)
        assert await mails.turn() == 0
    assert len(await waiting(database)) == 1


@pytest.mark.parametrize(
    ("email", "refuses"),
    [
        ("ada@example.com", {"RCPT": "550 nobody here"}),
        ("ada@example.com", {"DATA": "554 no"}),
        ('a"b@example.com', {}),
        ("a,b@example.com", {}),
        ("a>b@example.com", {}),
        ("a(b)@example.com", {}),
        (".ada@example.com", {}),
        ("ada@example..com", {}),
        ("ada@[127.0.0.1]", {}),
        ("ada@exa_mple.com", {}),
    ],
)
async def test_what_can_never_arrive_is_let_go(database: Database, email: str, refuses: dict[str, str]) -> None:
    """A 5xx of recipient or letter, and addresses that two programs could read differently."""
    await post(database, email)
    async with mail_server(refuses=refuses) as server:
        assert await room(database, server).turn() == 1
        assert server.letters == []
    assert await waiting(database) == []


async def test_an_address_of_other_scripts_is_written_to(database: Database) -> None:
    """Its domain goes in ASCII; before the @ the server has to know SMTPUTF8."""
    await post(database, "ada@bücher.example", "jürgen@example.com")
    async with mail_server() as server:
        await room(database, server).turn()
        assert {to for _, to in server.envelopes} == {"ada@xn--bcher-kva.example", "jürgen@example.com"}


async def test_a_bad_farewell_sends_nothing_twice(database: Database) -> None:
    """The letter was taken: what QUIT is answered with is of no interest."""
    await post(database, "ada@example.com")
    async with mail_server(refuses={"QUIT": "421 no"}) as server:
        mails = room(database, server)
        assert [await mails.turn(), await mails.turn()] == [1, 0]
        assert len(server.letters) == 1
    assert await waiting(database) == []


async def test_a_server_that_hangs_up_is_asked_once_more(database: Database) -> None:
    """Whether it took the letter nobody can know: it is sent again as the same message."""
    clock = FrozenClock()
    await post(database, "ada@example.com", clock=clock)
    async with mail_server(drops_after_data=True) as server:
        mails = room(database, server, clock)
        await mails.turn()
        server.drops_after_data = False
        clock.advance(timedelta(seconds=10))
        await mails.turn()
        assert len({letter["message-id"] for letter in server.letters}) == 1
        assert [str(letter) for letter in server.letters[:1]] == [str(letter) for letter in server.letters[1:]]
    assert await waiting(database) == []


async def test_a_letter_under_another_root_key_is_let_go(database: Database) -> None:
    """It can never be opened again."""
    await post(database, "ada@example.com", envelope=Envelope(b"x" * 32))
    async with mail_server() as server:
        await room(database, server).turn()
        assert server.letters == []
    assert await waiting(database) == []


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
async def test_the_server_is_authenticated_before_the_password_is_said(tmp_path: Path, security: Security) -> None:
    """A certificate that nobody we trust has signed gets neither password nor letter."""
    ca_file, context = certificate(tmp_path)
    letter = Letter(recipient="ada@example.com", subject="s", text="t")
    async with mail_server(tls=context, users={"codex": "pass"}) as server:
        if security is Security.TLS:
            listening = await asyncio.start_server(server.converse, "127.0.0.1", 0, ssl=context)
            server.port = listening.sockets[0].getsockname()[1]
        there = SmtpServer(
            host="localhost",
            port=server.port,
            security=security,
            sender="codexos@example.com",
            username="codex",
            password="pass",
            ca_file=ca_file,
            timeout_seconds=5,
        )
        await SmtpCarrier(there).carry(letter, mail_id="m", posted_at=CLOCK.now())
        assert (len(server.letters), server.logged_in) == (1, 1)
        server.said.clear()
        with pytest.raises(ssl.SSLError):
            await SmtpCarrier(replace(there, ca_file=None)).carry(letter, mail_id="m", posted_at=CLOCK.now())
        assert [said for said in server.said if said.startswith(("AUTH", "MAIL"))] == []
        if security is Security.TLS:
            listening.close()


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Return a file that vouches for localhost, and how to be it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - HOUR)
        .not_valid_after(now + HOUR)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


async def test_a_killed_dispatcher_sends_one_letter_again_and_loses_none(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """kill -9 when the server has taken the letter and not yet said so: the same letter once more, then never again."""
    settings, now = Settings(home=tmp_path), SystemClock().now()
    postbox = Postbox(envelope=open_envelope(settings), clock=SystemClock(), new_id=new_id)
    async with database.transaction() as session:
        session.add(
            UserRow(id="u", email="ada@example.com", name="u", password_hash="", created_at=now, updated_at=now)
        )
        postbox.post(session, PASSWORD_RESET, {"email": "ada@example.com"}, lifetime=HOUR)
    held = asyncio.Event()
    async with mail_server(holds_after_data=held) as server:
        smtp = Settings(home=tmp_path, smtp=server.settings).smtp
        assert smtp is not None
        dispatcher = DispatcherProcess(
            tmp_path,
            database_url,
            f"unix://{tmp_path / 'no-redis.sock'}",
            CODEXOS_SMTP=smtp.model_dump_json(exclude={"password"}),
            CODEXOS_MAIL_LEASE_SECONDS="2",
        )
        dispatcher.start()
        first = await server.letter(1, seconds=60)
        dispatcher.kill()
        held.set()
        dispatcher.start()
        again = await server.letter(2, seconds=60)
        assert str(first) == str(again)
        async with asyncio.timeout(30):
            while await waiting(database):
                await asyncio.sleep(0.05)
        dispatcher.stop()
        assert len(server.letters) == 2
    assert mailroom(settings, database, ENVELOPE, CLOCK).lease == timedelta(minutes=2)

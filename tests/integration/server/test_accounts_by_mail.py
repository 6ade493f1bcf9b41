"""Accounts by mail, over HTTP, a real conversation of SMTP and both databases."""

import asyncio
import re
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from core.clock import SystemClock
from server import wiring
from server.auth.sessions.passwords import Passwords
from server.cli.mailroom import mailroom
from stores import embedded_redis
from stores.sql.models import AuditEventRow, MailedTokenRow, MailRow, SessionRow
from tests.fakes.mail_server import MailServer, mail_server
from tests.integration.server.running import Api, running, settings_for
from vault.open import open_envelope

PASSWORD, ANOTHER = "a long sentence of my own", "another long sentence of mine"
AUTH = "/api/v1/auth"


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_redis.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
async def smtp() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture
async def api(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smtp: MailServer
) -> AsyncIterator[Api]:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(wiring, "Passwords", lambda: Passwords(cheap))
    settings = settings_for(tmp_path, database_url, redis_url=redis_url, trusted_proxies=1, smtp=smtp.settings)
    async with running(settings) as api:
        yield api


@pytest.fixture
async def browser(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as client:
        client.headers["x-forwarded-for"] = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"
        yield client


async def sent(api: Api) -> int:
    """Send what is due; return how many mails that were."""
    room = mailroom(api.settings, api.database, open_envelope(api.settings), SystemClock())
    total = 0
    while done := await room.turn():
        total += done
    return total


def token_in(letter: EmailMessage) -> str:
    found = re.search(r"cxm_[A-Za-z0-9_-]{43}", letter.get_content())
    assert found is not None, letter.get_content()
    return found[0]


async def registering(browser: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    asked = {"email": email, "password": password, "name": "Ada", "tenant_name": "Engines"}
    return await browser.post(f"{AUTH}/register", json=asked)


async def registered(api: Api, browser: httpx.AsyncClient, smtp: MailServer) -> str:
    email = f"{uuid4().hex}@example.com"
    assert (await registering(browser, email)).status_code == 202
    await sent(api)
    asked = {"token": token_in(smtp.letters.pop()), "password": PASSWORD}
    answer = await browser.post(f"{AUTH}/register/confirm", json=asked)
    assert answer.status_code == 201, answer.text
    return email


async def log_in(browser: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    return await browser.post(f"{AUTH}/token", json={"email": email, "password": password})


async def ask_reset(api: Api, browser: httpx.AsyncClient, smtp: MailServer, email: str) -> str:
    assert (await browser.post(f"{AUTH}/password/reset", json={"email": email})).status_code == 202
    await sent(api)
    return token_in(smtp.letters.pop())


async def reset(browser: httpx.AsyncClient, token: str, password: str = ANOTHER) -> httpx.Response:
    return await browser.post(f"{AUTH}/password/reset/confirm", json={"token": token, "new_password": password})


async def rows(api: Api, model: Any) -> list[Any]:
    async with api.database.reading() as session:
        return list((await session.scalars(select(model))).all())


async def test_an_account_begins_with_its_mail(api: Api, browser: httpx.AsyncClient, smtp: MailServer) -> None:
    """Before the token is confirmed nobody can log in; afterwards the token is used up, and the user owns a tenant."""
    email = f"{uuid4().hex}@example.com"
    answer = await registering(browser, email)
    assert (answer.status_code, answer.json()) == (202, {"accepted": True})
    assert await sent(api) == 1
    assert (await log_in(browser, email)).status_code == 401
    [letter] = smtp.letters
    assert (letter["to"], letter["from"], smtp.envelopes) == (
        email,
        "CodexOS <codexos@example.com>",
        [("codexos@example.com", email)],
    )
    asked = {"token": token_in(letter), "password": PASSWORD}
    answers = await asyncio.gather(*(browser.post(f"{AUTH}/register/confirm", json=asked) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) in ([201] + [401] * 4, [201, *[401] * 3, 409])
    pair = (await log_in(browser, email)).json()
    me = await browser.get(f"{AUTH}/me", headers={"authorization": f"Bearer {pair['access_token']}"})
    assert me.json()["role"] == "owner"
    assert {row.action for row in await rows(api, AuditEventRow)} >= {"tenant.created", "user.registered"}


async def test_registering_does_not_tell_who_is_registered(
    api: Api, browser: httpx.AsyncClient, smtp: MailServer
) -> None:
    """The same answer, and the same work: one row. Only the letter says that there is an account already."""
    email = await registered(api, browser, smtp)
    taken, free = await registering(browser, email), await registering(browser, f"{uuid4().hex}@example.com")
    assert (taken.status_code, taken.content) == (free.status_code, free.content)
    assert await sent(api) == 2
    texts = {letter["to"]: letter.get_content() for letter in smtp.letters}
    assert "cxm_" not in texts.pop(email)
    assert all("cxm_" in text for text in texts.values())
    assert (await log_in(browser, email)).status_code == 200


async def test_whoever_registers_the_address_of_another_gets_no_account(
    api: Api, browser: httpx.AsyncClient, smtp: MailServer
) -> None:
    """The owner of the mailbox has the token and not the password; both register, and the owner's own one counts."""
    email = f"{uuid4().hex}@example.com"
    await registering(browser, email, "the password of a thief")
    await registering(browser, email, PASSWORD)
    await sent(api)
    confirmed = {}
    for token in map(token_in, smtp.letters):
        answer = await browser.post(f"{AUTH}/register/confirm", json={"token": token, "password": PASSWORD})
        confirmed[token] = answer.status_code
    assert sorted(confirmed.values()) == [201, 401]
    assert (await log_in(browser, email, "the password of a thief")).status_code == 401
    for token in confirmed:  # the thief's has ended with it
        asked = {"token": token, "password": "the password of a thief"}
        assert (await browser.post(f"{AUTH}/register/confirm", json=asked)).status_code == 401


async def test_a_forgotten_password_is_reset_once(api: Api, browser: httpx.AsyncClient, smtp: MailServer) -> None:
    """All sessions end, the new password counts, and the token never works again; it is on record, and told by mail."""
    email = await registered(api, browser, smtp)
    pair = (await log_in(browser, email)).json()
    token = await ask_reset(api, browser, smtp, email)
    answers = await asyncio.gather(*(reset(browser, token) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    bearer = {"authorization": f"Bearer {pair['access_token']}"}
    assert (await browser.get(f"{AUTH}/me", headers=bearer)).status_code == 401
    asked = {"refresh_token": pair["refresh_token"]}
    assert (await browser.post(f"{AUTH}/refresh", json=asked)).status_code == 401
    assert [(await log_in(browser, email, each)).status_code for each in (PASSWORD, ANOTHER)] == [401, 200]
    ended = [row for row in await rows(api, SessionRow) if row.revoked_because == "password reset"]
    assert len(ended) == 1
    actions = [row.action for row in await rows(api, AuditEventRow)]
    assert (actions.count("password.reset_asked"), actions.count("password.reset")) == (1, 1)
    await sent(api)
    assert smtp.letters.pop()["subject"] == "Your password was reset"


async def test_one_reset_ends_the_other_tokens(api: Api, browser: httpx.AsyncClient, smtp: MailServer) -> None:
    """Whoever finds an older letter cannot use it any more."""
    email = await registered(api, browser, smtp)
    older, newer = [await ask_reset(api, browser, smtp, email) for _ in range(2)]
    assert [(await reset(browser, token)).status_code for token in (newer, older)] == [200, 401]


async def test_a_token_ends_after_an_hour(api: Api, browser: httpx.AsyncClient, smtp: MailServer) -> None:
    """And one of a registration resets no password."""
    email = await registered(api, browser, smtp)
    token = await ask_reset(api, browser, smtp, email)
    async with api.database.transaction() as session:
        for row in (await session.scalars(select(MailedTokenRow))).all():
            assert (row.expires_at - row.created_at).total_seconds() <= 3600 or row.purpose == "registration"
            row.expires_at = SystemClock().now()
    assert (await reset(browser, token)).status_code == 401
    await registering(browser, f"{uuid4().hex}@example.com")
    await sent(api)
    assert (await reset(browser, token_in(smtp.letters.pop()))).status_code == 401
    assert (await reset(browser, "nonsense")).status_code == 401
    assert (await log_in(browser, email)).status_code == 200


async def test_asking_tells_nobody_who_has_an_account(api: Api, browser: httpx.AsyncClient, smtp: MailServer) -> None:
    """The answers are equal, their times too: nobody is looked up before the mail is sent. Nobody unknown is mailed."""
    known = [await registered(api, browser, smtp) for _ in range(8)]
    unknown = [f"{uuid4().hex}@example.com" for _ in range(8)]
    took: dict[bool, list[float]] = {True: [], False: []}
    answers = set()
    for pair in zip(known, unknown, strict=True):
        for email in pair:
            browser.headers["x-forwarded-for"] = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"
            began = time.perf_counter()
            answer = await browser.post(f"{AUTH}/password/reset", json={"email": email})
            took[email in known].append(time.perf_counter() - began)
            answers.add((answer.status_code, answer.content))
    assert answers == {(202, b'{"accepted":true}')}
    ratio = statistics.median(took[True]) / statistics.median(took[False])
    assert 0.4 < ratio < 2.5, took
    assert await sent(api) == 16
    assert sorted(letter["to"] for letter in smtp.letters) == sorted(known)
    assert await rows(api, MailRow) == []


async def test_letters_to_one_address_are_few(browser: httpx.AsyncClient) -> None:
    """Three an hour, of either kind, whoever asks from wherever; be there such an account or not."""
    for path, more in (("password/reset", {}), ("register", {"password": PASSWORD, "name": "Ada"})):
        email, statuses = f"{uuid4().hex}@example.com", []
        for number in range(4):
            browser.headers["x-forwarded-for"] = f"2001:db8:{uuid4().hex[:4]}:{number}::1"
            statuses.append((answer := await browser.post(f"{AUTH}/{path}", json={"email": email} | more)).status_code)
        assert statuses == [202] * 3 + [429]
        assert int(answer.headers["retry-after"]) > 60


async def test_guessing_tokens_is_bounded(browser: httpx.AsyncClient) -> None:
    """Thirty from one address, for each of the two ways."""
    for path, password in (("password/reset/confirm", "new_password"), ("register/confirm", "password")):
        asked = {"token": "cxm_" + "x" * 43, password: PASSWORD}
        statuses = [(await browser.post(f"{AUTH}/{path}", json=asked)).status_code for _ in range(31)]
        assert statuses == [401] * 30 + [429]


async def test_nothing_is_sent_while_it_cannot_be_counted(database_url: str, tmp_path: Path) -> None:
    """Without Redis, all four are closed; registering without mail is not, for it sends nothing."""
    smtp = {"host": "127.0.0.1", "port": 1, "sender": "codexos@example.com"}
    async with running(settings_for(tmp_path, database_url, smtp=smtp)) as api, api.client() as browser:
        token = "cxm_" + "x" * 43
        statuses = [
            (await registering(browser, "ada@example.com")).status_code,
            (await browser.post(f"{AUTH}/register/confirm", json={"token": token, "password": "x"})).status_code,
            (await browser.post(f"{AUTH}/password/reset", json={"email": "ada@example.com"})).status_code,
            (await reset(browser, token)).status_code,
        ]
        assert statuses == [503] * 4
        assert await rows(api, MailRow) == []


async def test_without_a_server_letters_lie_in_a_folder(database_url: str, redis_url: str, tmp_path: Path) -> None:
    """Accounts are there at once, and a reset works: the letter is its owner's alone to read."""
    async with running(settings_for(tmp_path, database_url, redis_url=redis_url)) as api, api.client() as browser:
        email = f"{uuid4().hex}@example.com"
        assert [(await registering(browser, email)).status_code for _ in range(2)] == [201, 409]
        assert (await browser.post(f"{AUTH}/password/reset", json={"email": email})).status_code == 202
        assert await sent(api) == 1
        [file] = api.settings.mail_path.iterdir()
        assert (file.suffix, file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (".eml", 0o600, 0o700)
        token = re.search(r"cxm_[A-Za-z0-9_-]{43}", file.read_text("utf-8").replace("=\n", ""))
        assert token is not None
        assert (await reset(browser, token[0])).status_code == 200
        assert (await log_in(browser, email, ANOTHER)).status_code == 200


async def test_neither_token_nor_password_is_kept_readable(
    api: Api, browser: httpx.AsyncClient, smtp: MailServer
) -> None:
    """No row of mails or tokens holds the address, the token, the password or its hash."""
    email = f"{uuid4().hex}@example.com"
    await registering(browser, email)
    waiting = repr([vars(row) for row in await rows(api, MailRow)])
    await sent(api)
    token = token_in(smtp.letters[-1])
    held = waiting + repr([vars(row) for row in await rows(api, MailedTokenRow)])
    assert [secret for secret in (email, token, PASSWORD, "argon2", "Engines") if secret in held] == []

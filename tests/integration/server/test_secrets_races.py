"""One code, 64 at once, over two API processes and a restart: it opens once."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from stores.sql.engine import Database
from stores.sql.models import TotpDeviceRow
from tests.acceptance.system import free_ports
from tests.integration.server.guarded import CODE, SECRETS, Person, refusal, stored
from tests.integration.server.served import ServedApi, served

AT_ONCE = 64


async def race(clients: list[httpx.AsyncClient], code: str) -> Counter[tuple[int, str]]:
    """Ask for the secret so many times at once with one code, by turns on each process; count how it ended."""
    asked = [clients[number % len(clients)].get(f"{SECRETS}/k", headers={CODE: code}) for number in range(AT_ONCE)]
    answers = await asyncio.gather(*asked)
    return Counter((200, "") if answer.status_code == 200 else refusal(answer) for answer in answers)


async def forgive(database: Database) -> None:
    """Let the day's failures begin anew: a race alone has more of them than a day allows."""
    async with database.transaction() as session:
        await session.execute(update(TotpDeviceRow).values(failures=0, failures_since=None))


@pytest.mark.parametrize("races", [4, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("redis_url", ["embedded"], indirect=True)
async def test_of_many_with_the_same_code_one_gets_the_secret(
    database_url: str, redis_url: str, tmp_path: Path, races: int
) -> None:
    """Exactly one in each race; once 20 have failed the others are told to wait. Replayed after a restart: refused."""
    apis = [ServedApi(tmp_path, port, database_url, redis_url) for port in free_ports(2)]
    database, totals = Database(database_url), Counter[tuple[int, str]]()
    async with served(*apis), apis[0].client() as first, apis[1].client() as second:
        person = await Person.registered(first, database)
        await person.enrol()
        await stored(first, "k", require_mfa=True)
        for number in range(races):
            await forgive(database)
            if number % 20 == 19:  # on a busy machine hundreds of races outlast a token
                await person.log_in()
            second.headers["authorization"] = first.headers["authorization"]
            code = await person.code()
            ended = await race([first, second], code)
            assert ended[200, ""] == 1, ended
            assert ended.total() == AT_ONCE
            totals += ended
            # On a machine that is busy beyond measure some are told that their request could not be counted in time.
            assert ended.keys() <= {
                *((200, ""), (401, "MFA_INVALID"), (429, "RATE_LIMIT_EXCEEDED"), (503, "SERVICE_UNAVAILABLE"))
            }
            assert ended[401, "MFA_INVALID"] <= 20
        uses = (await first.get(f"{SECRETS}/k/usage")).json()["total"]
    print(f"{races} races of {AT_ONCE}: {sum(totals.values())} requests, {dict(totals)}")
    await forgive(database)
    async with served(apis[0]), apis[0].client() as again:
        again.headers["authorization"] = first.headers["authorization"]
        assert refusal(await again.get(f"{SECRETS}/k", headers={CODE: code})) == (401, "MFA_INVALID")
    await database.dispose()
    assert uses == races

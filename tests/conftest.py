"""The stores as tests meet them: every backend the platform runs on, fresh where state would leak."""

import asyncio
import concurrent.futures
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import make_url

from core.events import EventType
from server.webhooks.events.catalogue import check
from stores import embedded_redis
from stores.outbox import Outbox
from stores.sql.migrations.run import upgrade
from tests import real_parts

# How long one example takes says how busy the machine is, not whether the property holds.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")


@pytest.fixture(scope="session", autouse=True)
def _catalogued_events() -> Iterator[None]:
    """Hold every event that our code appends, in whatever test, to what the catalogue says of its type.

    What tests append themselves may be anything.
    """
    append, append_once = Outbox.append, Outbox.append_once

    def checked(self: Outbox, session: Any, tenant_id: Any, event_type: EventType, payload: Any, **given: Any) -> Any:
        _check_told(event_type, payload)
        return append(self, session, tenant_id, event_type, payload, **given)

    def checked_once(
        self: Outbox, session: Any, tenant_id: Any, event_type: EventType, payload: Any, **given: Any
    ) -> Any:
        _check_told(event_type, payload)
        return append_once(self, session, tenant_id, event_type, payload, **given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Outbox, "append", checked)
        patched.setattr(Outbox, "append_once", checked_once)
        yield


def _check_told(event_type: EventType, payload: Any) -> None:
    appending = sys._getframe(2).f_globals["__name__"]
    if not appending.startswith("tests."):
        check(event_type, json.loads(json.dumps(payload)))


@pytest.fixture(scope="session", params=["embedded", "real"])
def redis_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of the embedded Redis, and again of a real one. Its keys are shared by the session's tests."""
    embedded = embedded_redis.running(tmp_path_factory.mktemp("redis"))
    with embedded if request.param == "embedded" else real_parts.redis() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a migrated, empty database of the test's own, on SQLite and again on PostgreSQL."""
    if request.param == "sqlite":
        file = tmp_path / "codexos.sqlite3"
        shutil.copyfile(request.getfixturevalue("_migrated_sqlite"), file)
        yield f"sqlite+aiosqlite:///{file}"
        return
    server, template = request.getfixturevalue("_migrated_postgresql")
    name = f"test_{uuid4().hex}"
    _administer(server, f'CREATE DATABASE {name} TEMPLATE "{template}"')
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "migrated.sqlite3"
    _migrate(f"sqlite+aiosqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def _migrated_postgresql() -> Iterator[tuple[str, str]]:
    """Yield a server and the name of a migrated database there: copying it takes a tenth of migrating anew."""
    with real_parts.postgresql() as server:
        template = f"migrated_{uuid4().hex}"
        _administer(server, f"CREATE DATABASE {template}")
        _migrate(make_url(server).set(database=template).render_as_string(hide_password=False))
        yield server, template
        _administer(server, f"DROP DATABASE {template} WITH (FORCE)")


def _migrate(url: str) -> None:
    # In a thread of its own, because the test's event loop may already be set up in this one.
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, upgrade(url)).result()


def _administer(server: str, statement: str) -> None:
    dsn = make_url(server).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement)

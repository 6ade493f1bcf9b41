"""A real Redis and a real PostgreSQL for the tests: private servers on unix sockets in temporary folders.

`CODEXOS_TEST_REDIS_URL` and `CODEXOS_TEST_DATABASE_URL` name servers to use instead. Without either and without the
programs, tests that need them are skipped; with `CODEXOS_TEST_REAL_PARTS=required`, as CI sets it, they fail.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
import pytest
from redis import Redis
from redis.connection import parse_url
from redis.exceptions import RedisError

from tests.acceptance.system import free_ports

_START_SECONDS = 20.0
_NGINX_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Yield the URL of a real Redis: of one given, a database for each process that runs tests."""
    if given := os.environ.get("CODEXOS_TEST_REDIS_URL"):
        yield _database_of_this_process(given)
        return
    with redis_process() as (url, _):
        yield url


def _database_of_this_process(given: str) -> str:
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    options = parse_url(given)
    number = int(options.get("db", 0)) + process
    url = urlsplit(given)
    if url.scheme == "unix":
        return f"unix://{url.netloc}{url.path}?{urlencode({**dict(parse_qsl(url.query)), 'db': number})}"
    return urlunsplit(url._replace(path=f"/{number}"))


@contextlib.contextmanager
def redis_process() -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Yield the URL of a Redis that is this test's own, and its process, to be stopped and woken."""
    program = shutil.which("redis-server") or miss("no redis-server is installed and CODEXOS_TEST_REDIS_URL is unset")
    with tempfile.TemporaryDirectory(prefix="codexos-redis-") as folder:
        path = Path(folder) / "redis.sock"
        options = ("--port", "0", "--unixsocket", str(path), "--dir", folder, "--save", "", "--appendonly", "no")
        with _running([program, *options]) as process, Redis(unix_socket_path=str(path)) as client:
            _wait_for(client.ping, RedisError)
            yield f"unix://{path}", process


@contextlib.contextmanager
def started_anew(ended: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    """Run the command of a process that has ended once more, for the length of the block; yield the process."""
    with subprocess.Popen(ended.args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """Yield the SQLAlchemy URL of a real PostgreSQL's maintenance database."""
    if given := os.environ.get("CODEXOS_TEST_DATABASE_URL"):
        yield given
        return
    programs = _postgresql_programs() or Path(miss("no PostgreSQL is installed and CODEXOS_TEST_DATABASE_URL is unset"))
    # It refuses to run as root; the packages bring a user for it.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="codexos-postgresql-") as folder:
        if user:
            shutil.chown(folder, user)
        data = f"{folder}/data"
        initdb = [str(programs / "initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"]
        subprocess.run([*initdb, "--locale=C"], user=user, cwd=folder, check=True, capture_output=True)
        settings = ("listen_addresses=", f"unix_socket_directories={folder}", "fsync=off", "max_connections=300")
        options = [part for setting in settings for part in ("-c", setting)]
        with _running([str(programs / "postgres"), "-D", data, *options], user=user, cwd=folder):
            _wait_for(lambda: psycopg.connect(host=folder, user="postgres").close(), psycopg.OperationalError)
            yield f"postgresql+asyncpg://postgres@/postgres?host={folder}"


@contextlib.contextmanager
def nginx(*, upstream_port: int) -> Iterator[str]:
    """Yield the URL of an nginx with the shipped configuration, in front of an API on `upstream_port`."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin") or miss("no nginx is installed")
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="codexos-nginx-") as folder:
        shipped = (Path(__file__).parents[1] / "deploy" / "nginx" / "codexos.conf").read_text("utf-8")
        placed = shipped.replace("127.0.0.1:8000", f"127.0.0.1:{upstream_port}").replace(":8080", f":{port}")
        configuration = Path(folder) / "nginx.conf"
        # A test's server writes into its own folder, and stays in the foreground to be ended by its parent.
        folders = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in _NGINX_TEMPORARY)
        placed = placed.replace("http {", f"daemon off; pid {folder}/pid;\nhttp {{ {folders}", 1)
        configuration.write_text(placed, "utf-8")
        with _running([program, "-c", str(configuration), "-p", folder, "-e", "stderr"]):
            _wait_for(lambda: socket.create_connection(("127.0.0.1", port)).close(), OSError)
            yield f"http://127.0.0.1:{port}"


def _postgresql_programs() -> Path | None:
    on_path = shutil.which("initdb")
    # Debian keeps the servers of each version out of the PATH.
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = Path(on_path) if on_path else debian[-1] if debian else None
    return found.resolve().parent if found else None


def miss(reason: str) -> str:
    """Skip the test that needs what is not here; fail it where the real parts are required."""
    if os.environ.get("CODEXOS_TEST_REAL_PARTS") == "required":
        pytest.fail(f"{reason}, and CODEXOS_TEST_REAL_PARTS says that it must be here.")
    pytest.skip(f"{reason}.")


@contextlib.contextmanager
def _running(
    command: list[str], *, user: str | None = None, cwd: str | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, user=user, cwd=cwd, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)  # both understand it as: stop now, orderly, whoever is connected
            process.wait()


def _wait_for(attempt: Callable[[], object], *not_yet: type[Exception]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            attempt()
            return
        except not_yet:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)

"""Settings read the environment once and derive every path from one folder."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from core.settings import Settings


def test_everything_lives_in_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CODEXOS_HOME moves all data; empty URLs mean the embedded parts."""
    monkeypatch.setenv("CODEXOS_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("CODEXOS_DATABASE_URL", "")
    monkeypatch.setenv("CODEXOS_REDIS_URL", "")
    settings = Settings()
    assert settings.sql_url == f"sqlite+aiosqlite:///{tmp_path}/data/codexos.sqlite3"
    for path in (settings.lance_path, settings.blob_path, settings.model_path, settings.dev_api_key_file):
        assert path.is_relative_to(tmp_path / "data")


def test_relative_home_becomes_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    """LanceDB takes a relative path that starts with "db" for a cloud address."""
    monkeypatch.setenv("CODEXOS_HOME", "db")
    assert Settings().lance_path.is_absolute()


def test_deep_home_moves_the_socket_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A unix socket's path may have 107 bytes; two deep homes still get two sockets."""
    monkeypatch.setenv("CODEXOS_HOME", str(tmp_path / ("a" * 120)))
    first = Settings().redis_socket
    monkeypatch.setenv("CODEXOS_HOME", str(tmp_path / ("b" * 120)))
    second = Settings().redis_socket
    assert len(bytes(first)) <= 107
    assert first != second


@pytest.mark.parametrize("seconds", ["1.9", "0", "-5", "nan"])
def test_lease_too_short_to_write_under_is_refused(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    """No write could ever begin under it, and every document would wait for ever; the sentence says what to set."""
    monkeypatch.setenv("CODEXOS_JOB_LEASE_SECONDS", seconds)
    with pytest.raises(ValidationError) as caught:
        Settings()
    [fault] = caught.value.errors()
    assert fault["loc"] == ("job_lease_seconds",)
    assert fault["msg"] == (
        "A lease must last at least 2 seconds: a write to the index begins only with one second left"
    )


def test_shortest_lease_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds are enough."""
    monkeypatch.setenv("CODEXOS_JOB_LEASE_SECONDS", "2")
    assert Settings().job_lease_seconds == 2


def test_requests_are_limited_as_promised_unless_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 a minute with a credential, 20 without; the environment may say otherwise."""
    names = ("CODEXOS_RATE_LIMIT_AUTHENTICATED_PER_MINUTE", "CODEXOS_RATE_LIMIT_UNAUTHENTICATED_PER_MINUTE")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    settings = Settings(_env_file=None)
    assert (settings.rate_limit_authenticated_per_minute, settings.rate_limit_unauthenticated_per_minute) == (100, 20)
    monkeypatch.setenv(names[0], "7")
    assert Settings().rate_limit_authenticated_per_minute == 7

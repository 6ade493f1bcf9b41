"""Ports are looked at before anything starts on them."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import Settings
from server.cli import ports
from server.cli.refusal import Refusal


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def settings(tmp_path: Path, **overrides: object) -> Settings:
    return Settings.model_validate({"home": tmp_path, **overrides})


@pytest.mark.parametrize("name", ["http_port", "dagster_port"])
def test_busy_port_names_the_variable_to_change(tmp_path: Path, taken_port: int, name: str) -> None:
    """The sentence says which port is busy and which variable moves it."""
    with pytest.raises(Refusal, match=f"port {taken_port} is in use by another program; set CODEXOS_{name.upper()}"):
        ports.check(settings(tmp_path, **{name: taken_port}))


def test_two_parts_cannot_have_one_port(tmp_path: Path) -> None:
    """Giving both the same port is noticed before the second of them fails to start."""
    with pytest.raises(Refusal, match="are both 8000"):
        ports.check(settings(tmp_path, http_port=8000, dagster_port=8000))


def test_unknown_address_is_one_sentence(tmp_path: Path) -> None:
    """An address that no interface has is named, not traced."""
    with pytest.raises(Refusal, match=r"port \d+ cannot be listened on|no address of this machine"):
        ports.check(settings(tmp_path, http_host="192.0.2.1"))

"""No credential that passes through the whole system is on its terminal, or in a log that its supervisor keeps."""

import os
import signal
from uuid import uuid4

from tests.acceptance.system import READY_SECONDS, RunningSystem, until
from tests.integration.server.test_canary import Canaries, encodings


def end(system: RunningSystem, part: str) -> None:
    """kill -9 a part, and wait until the supervisor has told its last lines and started it again."""
    victim = min(pid for pid, command in system.processes().items() if f"server {part}" in command)
    said_before = len(system.terminal)
    os.kill(victim, signal.SIGKILL)
    until(lambda: f"{part} was restarted." in system.terminal[said_before:], f"{part} is restarted", 30)
    until(system.is_ready, "every part serves again", READY_SECONDS)


def searched(system: RunningSystem, canaries: Canaries) -> dict[str, list[str]]:
    """Return what is found, by place."""
    places = {path.name: path.read_bytes() for path in (system.home / "logs").iterdir() if path.is_file()}
    assert {"api.log", "worker.log"} <= places.keys()
    places["terminal"] = "\n".join(system.terminal).encode()
    return {place: found for place, content in places.items() if (found := canaries.found_in(content))}


def test_no_credential_is_on_the_terminal_or_in_a_log(running_system: RunningSystem) -> None:
    """Parts die with their last lines told. Then a leak is planted in a log: found there, and on the terminal."""
    canaries = Canaries(secrets={"password": f'canary "{uuid4()}" ü', "wrong": f"cxk_live_{uuid4().hex}"})
    account = {"email": f"{uuid4().hex}@example.com", "password": canaries.secrets["password"]}
    with running_system.client() as client:
        client.post("/api/v1/auth/register", json={**account, "name": "Ada"}).raise_for_status()
        pair = client.post("/api/v1/auth/token", json=account).raise_for_status().json()
        canaries.secrets |= {"access": pair["access_token"], "refresh": pair["refresh_token"]}
        for secret in canaries.secrets.values():
            wrong = {"authorization": f"Bearer {secret}x".encode()}
            assert client.get("/api/v1/rag/documents", headers=wrong).status_code == 401
            client.get("/nowhere", params={"token": secret})
            client.post("/api/v1/auth/token", json=account | {"password": secret, "remember": secret})
    end(running_system, "api")
    assert searched(running_system, canaries) == {}

    leak = encodings(canaries.secrets["refresh"])["base64"].decode()
    with (running_system.home / "logs" / "worker.log").open("a") as log:
        log.write(f"{leak}\n")
    end(running_system, "worker")
    assert searched(running_system, canaries).keys() == {"worker.log", "terminal"}

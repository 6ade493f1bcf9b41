"""`python -m server up`: start the whole system, show it working once, and keep it running until told to stop."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from core.settings import Settings
from server.cli import demo, dev_key, home, parts, ports, ready_flows, root_key
from server.cli.demo_client import connected
from server.cli.migrate import migrate
from server.cli.readiness import wait_until_ready
from server.cli.refusal import Refusal
from server.cli.supervisor import Supervisor

_ROOT = Path(__file__).resolve().parents[2]
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def main(settings: Settings) -> int:
    with home.hold(settings.home) as held:
        if held.ended_leftovers:
            say(f"Ended {held.ended_leftovers} processes that a killed start had left behind.")
        ports.check(settings)
        return asyncio.run(_Up(settings, held).run())


def say(line: str) -> None:
    print(line, flush=True)


class _Up:
    """One run of the system, from the first child to the last."""

    def __init__(self, settings: Settings, held: home.HeldHome) -> None:
        self.settings = settings
        self.url = f"http://{_WILDCARDS.get(settings.http_host, settings.http_host)}:{settings.http_port}"
        self.supervisor = Supervisor(
            root=_ROOT, logs=settings.log_path, environment=parts.environment(settings), say=say
        )
        held.remember(cookie=self.supervisor.cookie, url=self.url)

    async def run(self) -> int:
        stop = self._stop_on_signals()
        say(f"CodexOS starts, with its data in {self.settings.home}")
        try:
            await _unless(stop, self._start())
            await stop.wait()
        finally:
            say("Stopping.")
            await self.supervisor.stop()
            say("Everything has stopped.")
        return 0

    async def _start(self) -> None:
        launching = asyncio.create_task(self._launch())
        waiting = asyncio.create_task(wait_until_ready(self.url, say))
        try:
            key, _ = await asyncio.gather(launching, waiting)
        finally:
            launching.cancel()
            waiting.cancel()
        if key is not None:
            await self._install_flows()
            await self._demonstrate()
        self._show(key)

    async def _launch(self) -> str | None:
        """Start every part; return the development key, None in production."""
        if self.settings.redis_url is None:
            await self.supervisor.start(parts.redis(self.settings))
        # Dagster needs longest and our tables last, so it starts beside the migration.
        starting_dagster = asyncio.create_task(self._start_dagster())
        try:
            key = await self._prepare_data()
            for part in parts.lanes():
                await self.supervisor.start(part)
            await starting_dagster
        finally:
            starting_dagster.cancel()
        return key

    async def _prepare_data(self) -> str | None:
        root_key.check(self.settings)
        await migrate(self.settings)
        return await dev_key.ensure(self.settings)

    async def _start_dagster(self) -> None:
        processes = parts.dagster(self.settings, _ROOT)
        if storage := parts.dagster_storage(self.settings):
            say("  Dagster's storage is being made, this once")
            if await self.supervisor.run_once(storage) != 0:
                raise Refusal(f"Dagster's storage could not be made; {self.supervisor.log_of(storage)} says why.")
            parts.note_dagster_storage(self.settings)
        for part in processes:
            await self.supervisor.start(part)

    async def _install_flows(self) -> None:
        try:
            async with connected(self.settings) as client:
                await ready_flows.install(client)
        except Refusal as reason:  # whoever archived or broke them still wants the system up
            say(f"The flows that come with the system could not be installed: {reason}")

    async def _demonstrate(self) -> None:
        shown = self.settings.home / "demo-shown"
        wish = os.environ.get("DEMO", "")
        if wish == "0" or (shown.exists() and not wish):
            return
        if await demo.run(self.settings, say) == 0:
            shown.touch()
        else:
            say("The demo did not go as it should; the system keeps running.")

    def _show(self, key: str | None) -> None:
        say("")
        say("CodexOS is ready. Ctrl-C stops it.")
        say(f"  API      {self.url}/api/v1    (described in {self.url}/openapi.json)")
        say(f"  Dagster  http://{parts.DAGSTER_HOST}:{self.settings.dagster_port}")
        say(f"  Logs     {self.settings.log_path}")
        if key is not None:
            say(f"  Key      {key}    (kept in {self.settings.dev_api_key_file})")

    def _stop_on_signals(self) -> asyncio.Event:
        """Return the event that Ctrl-C sets; a second Ctrl-C waits for nobody."""
        stop = asyncio.Event()

        def on_signal() -> None:
            if stop.is_set():
                self.supervisor.kill()
                os._exit(130)
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, on_signal)
        return stop


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do `work`, and abandon it where it stands when `stop` is set."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        await working  # raises what the work raised
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)

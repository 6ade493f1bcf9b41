"""A small supervised system as a process of its own, so that a test can kill it: `supervised.py LOGS COMMAND…`."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from server.cli.supervisor import Part, Supervisor


async def main(logs: Path, scripts: list[str]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    supervisor = Supervisor(
        root=Path.cwd(), logs=logs, environment=dict(os.environ), say=lambda line: print(line, flush=True)
    )
    print(f"cookie {supervisor.cookie}", flush=True)
    for number, script in enumerate(scripts):
        await supervisor.start(Part(name=f"part{number}", wave=number, command=(sys.executable, "-c", script)))
    await stop.wait()
    await supervisor.stop()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))

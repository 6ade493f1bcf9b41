"""Rotates all keys for ever, by the operator's own commands, until it is killed: `python -m … HOME DATABASE_URL`."""

import os
import random
import sys
from contextlib import suppress
from pathlib import Path

from core.settings import Settings
from server.cli.admin import main
from server.cli.refusal import Refusal
from vault import embedded, root_rotation

COMMANDS = (["rotate"], ["re-wrap"], ["rotate", "--root"], ["retire-root", "--now"])


def settings_of(home: str, database_url: str) -> Settings:
    return Settings(home=Path(home), database_url=database_url)


def ask(settings: Settings, command: list[str]) -> None:
    os.utime(settings.root_key_path, (0, 0))  # changed so long ago that nobody needs an earlier key
    assert main(settings, ["vault", *command]) == 0


if __name__ == "__main__":
    embedded._AT_ONCE = root_rotation._AT_ONCE = 3
    here = settings_of(*sys.argv[1:])
    while True:  # the first of them has all to import
        with suppress(Refusal):  # an earlier root key that is still needed
            ask(here, random.choice(COMMANDS))
        print("done", flush=True)

"""Choose the command and run it; only the chosen one is imported."""

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path

from dotenv import load_dotenv
from pydantic import ValidationError

from core.settings import Settings
from server.cli.refusal import Refusal, refuse

ROOT = Path(__file__).resolve().parents[2]

COMMANDS = {
    "up": "start the whole system and keep it running",
    "demo": "ingest the demo documents into the running system, ask its questions and execute its flows",
    "api": "serve the API",
    "worker": "work on posted documents as they come",
    "dispatcher": "tell webhook endpoints of events as they happen",
    "agents": "run executions of flows",
    "migrate": "bring the database to the newest revision",
    "admin": "what an operator does at the machine: create-key, rotate-signing-key, audit verify",
    "artefacts": "write docs/api: the OpenAPI document and the catalogue of errors",
    "env-example": "print .env.example, made from the settings",
}

_WITH_ARGUMENTS = frozenset({"admin"})


def main(argv: Sequence[str]) -> int:
    """Run the command that `argv` names; return its exit status."""
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog="python -m server",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n" + "\n".join(f"  {name:{width}}  {does}" for name, does in COMMANDS.items()),
    )
    parser.add_argument("command", choices=COMMANDS, metavar="command")
    chosen, arguments = parser.parse_args(argv[:1]), argv[1:]
    if arguments and chosen.command not in _WITH_ARGUMENTS:
        parser.error(f"{chosen.command} takes no arguments")
    load_dotenv(ROOT / ".env")  # into the environment rather than the settings: the children must see it too
    command = importlib.import_module(f"server.cli.{chosen.command.replace('-', '_')}")
    try:
        if chosen.command in _WITH_ARGUMENTS:
            return int(command.main(Settings(), arguments) or 0)
        return int(command.main(Settings()) or 0)
    except Refusal as reason:
        return refuse(str(reason))
    except ValidationError as error:
        faults = "; ".join(f"CODEXOS_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        return refuse(f"a setting is wrong. {faults}.")

"""Print `.env.example`: every setting with its sentence and default, all commented out."""

import textwrap
from enum import Enum
from pathlib import Path

from core.settings import Settings

_HEADER = "# Copy to .env and uncomment what you change. Written by `make env-example`; edit core/settings.py.\n"


def _shown(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, Enum):
        return str(default.value)
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return default.as_posix() if isinstance(default, Path) else str(default)


def render() -> str:
    """Return the file's text."""
    prefix = Settings.model_config["env_prefix"]
    blocks = [_HEADER]
    for name, field in Settings.model_fields.items():
        sentence = textwrap.fill(field.description or "", width=116, initial_indent="# ", subsequent_indent="# ")
        blocks.append(f"{sentence}\n#{prefix}{name.upper()}={_shown(field.default)}\n")
    return "\n".join(blocks)


def main(_settings: Settings) -> None:
    print(render(), end="")

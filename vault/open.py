"""The only chooser: which safe this installation has, from its settings."""

from core.settings import Environment, Settings
from vault.envelope import Envelope
from vault.keys import read_root_key


def open_envelope(settings: Settings) -> Envelope:
    """Return what seals and opens. Only development makes a root key by itself. Raises RootKeyUnusable."""
    make = settings.environment == Environment.DEVELOPMENT
    return Envelope(read_root_key(settings.root_key_path, make=make))

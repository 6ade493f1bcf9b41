"""Without its root key an installation cannot open what it has sealed: better said before anything starts."""

from core.settings import Settings
from server.cli.refusal import Refusal


def check(settings: Settings) -> None:
    """Raise Refusal unless the root key can be used. In development a missing one is made."""
    from vault.open import open_envelope
    from vault.root_keys import RootKeyUnusable

    try:
        open_envelope(settings)
    except RootKeyUnusable as unusable:
        raise Refusal(unusable.message) from None

"""The only chooser: which safe this installation has, from its settings."""

from datetime import timedelta

from core.clock import Clock
from core.ids import new_id
from core.settings import Environment, HashicorpVault, Settings
from stores.audit import AuditLog
from stores.outbox import Outbox
from stores.sql.engine import Database
from vault.embedded import EmbeddedStore
from vault.envelope import Envelope
from vault.root_keys import RootKeyFile
from vault.safe import Safe
from vault.store import SecretStore


def open_envelope(settings: Settings) -> Envelope:
    """Return what seals and opens. Only development makes a root key by itself. Raises RootKeyUnusable."""
    file = RootKeyFile(settings.root_key_path)
    keys = file.read(make=settings.environment == Environment.DEVELOPMENT)
    return Envelope(*keys, reread=file.changed)


def open_safe(settings: Settings, database: Database, envelope: Envelope, clock: Clock, *, outbox: Outbox) -> Safe:
    """Return the safe, over the store that the settings name."""
    return Safe(
        database=database,
        store=open_secret_store(settings, database, envelope, clock),
        outbox=outbox,
        audit=AuditLog(clock),
        clock=clock,
        new_id=new_id,
        undelete_window=timedelta(hours=settings.vault_undelete_hours),
    )


def open_secret_store(settings: Settings, database: Database, envelope: Envelope, clock: Clock) -> SecretStore:
    """Return what keeps the values of secrets."""
    if settings.hashicorp_vault is not None:
        return _hashicorp(settings.hashicorp_vault)
    return EmbeddedStore(database=database, envelope=envelope, clock=clock, new_id=new_id)


def _hashicorp(known: HashicorpVault) -> SecretStore:
    from vault.hashicorp import HashicorpStore, Login  # its libraries are loaded where they are wanted

    return HashicorpStore(
        address=known.address,
        login=Login(
            token=known.token.get_secret_value() if known.token else None,
            role_id=known.role_id,
            secret_id=known.secret_id.get_secret_value() if known.secret_id else None,
            kubernetes_role=known.kubernetes_role,
        ),
        mount=known.mount,
        prefix=known.prefix,
        namespace=known.namespace,
        ca_file=known.ca_file,
        timeout_seconds=known.timeout_seconds,
        transit_mount=known.transit_mount,
        transit_key=known.transit_key,
    )

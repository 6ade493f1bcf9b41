"""Safes over a database of a test's own."""

from datetime import timedelta

from core.clock import Clock
from core.ids import new_id
from stores.audit import AuditLog
from stores.outbox import Outbox
from stores.sql.engine import Database
from vault.embedded import EmbeddedStore
from vault.envelope import Envelope
from vault.safe import Safe
from vault.store import SecretStore


def a_safe(database: Database, clock: Clock, store: SecretStore | None = None) -> Safe:
    """Return a safe over the embedded store, or another."""
    embedded = EmbeddedStore(database=database, envelope=Envelope(bytes(32)), clock=clock, new_id=new_id)
    return Safe(
        database=database,
        store=store or embedded,
        outbox=Outbox(clock),
        audit=AuditLog(clock),
        clock=clock,
        new_id=new_id,
        undelete_window=timedelta(days=7),
    )

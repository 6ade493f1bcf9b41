"""The clockwork of schedules from the settings: it works in the process that runs flows, beside the worker."""

from collections.abc import Sequence

from core.clock import Clock
from core.ids import new_id
from core.settings import Settings
from server.agents.assembly import agents_wing
from server.agents.schedules.clockwork import Clockwork
from server.openapi.pagination import Cursors
from stores.audit import AuditLog
from stores.blobs import BlobStore
from stores.outbox import Outbox
from stores.redis import Bell
from stores.sql.engine import Database


def clockwork(settings: Settings, database: Database, outbox: Outbox, bell: Bell, clock: Clock) -> Clockwork:
    wing = agents_wing(
        database=database,
        blobs=BlobStore((settings.blob_path / "executions").as_uri()),
        outbox=outbox,
        bell=bell,
        audit=AuditLog(clock),
        clock=clock,
        new_id=new_id,
        cursors=Cursors(_no_pages),
    )
    return Clockwork(schedules=wing.schedules)


def _no_pages(_content: bytes) -> Sequence[bytes]:
    raise RuntimeError("nobody turns pages here")

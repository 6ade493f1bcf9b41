"""The mailroom from the settings: it works in the dispatcher's process, beside the webhooks."""

from datetime import timedelta

from core.clock import Clock
from core.settings import Settings, SmtpSettings
from server.auth.sessions.assembly import composers
from server.auth.sessions.letters import Wording
from server.mail.folder import FolderCarrier
from server.mail.letter import Carrier
from server.mail.service import Mailroom
from server.mail.smtp import Security, SmtpCarrier, SmtpServer
from stores.audit import AuditLog
from stores.sql.engine import Database
from vault.envelope import Envelope


def mailroom(settings: Settings, database: Database, envelope: Envelope, clock: Clock) -> Mailroom:
    return Mailroom(
        database=database,
        envelope=envelope,
        clock=clock,
        carrier=_carrier(settings),
        composers=composers(
            database=database,
            envelope=envelope,
            clock=clock,
            audit=AuditLog(clock),
            wording=Wording(public_url=settings.public_url, account_page=settings.account_page),
        ),
        lease=timedelta(seconds=settings.mail_lease_seconds),
    )


def _carrier(settings: Settings) -> Carrier:
    return FolderCarrier(settings.mail_path) if settings.smtp is None else SmtpCarrier(_server(settings.smtp))


def _server(smtp: SmtpSettings) -> SmtpServer:
    return SmtpServer(
        host=smtp.host,
        port=smtp.port,
        security=Security(smtp.security),
        sender=smtp.sender,
        username=smtp.username,
        password=smtp.password.get_secret_value() if smtp.password else None,
        ca_file=smtp.ca_file,
        timeout_seconds=smtp.timeout_seconds,
    )

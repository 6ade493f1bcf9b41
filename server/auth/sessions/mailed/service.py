"""Tokens that travel by mail: each works once, and SQL keeps its hash only."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core.clock import Clock
from server.auth.sessions.mailed.repository import MailedTokenRepository
from server.mail.letter import Posted
from stores.sql.engine import Session
from stores.sql.models import MailedTokenRow
from vault.envelope import Envelope

_TOKEN = re.compile(r"cxm_[A-Za-z0-9_-]{43}", re.ASCII)
_PURPOSE = "mailed-token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a valid token stands for."""

    subject: str
    content: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailedTokens:
    """One a process."""

    envelope: Envelope
    clock: Clock

    async def issue(
        self,
        session: Session,
        posted: Posted,
        *,
        subject: str,
        expires_at: datetime,
        content: Mapping[str, str] | None = None,
    ) -> tuple[str, bool]:
        """Return the token of this mail, and whether it is new.

        It is derived from the mail's id under this installation's key: a mail that is sent a second time holds the
        same token, so none has to be kept, and one that was used in between stays used. The key may have been rotated
        in between, too.
        """
        tokens, (token, *earlier) = MailedTokenRepository(session), self._derived(posted)
        for known in (token, *earlier):
            if await tokens.get(_hash(known)) is not None:
                return known, False
        token_hash = _hash(token)
        sealed = None
        if content is not None:
            sealed = self.envelope.seal(json.dumps(dict(content)).encode(), purpose=_PURPOSE, place=token_hash)
        tokens.add(
            MailedTokenRow(
                token_hash=token_hash,
                purpose=posted.kind,
                subject=subject,
                sealed_content=sealed,
                created_at=self.clock.now(),
                expires_at=expires_at,
            )
        )
        return token, True

    async def find(self, session: Session, token: str, purpose: str) -> Proven | None:
        """Return what the token stands for, None unless it is valid now."""
        if not _TOKEN.fullmatch(token):
            return None
        row = await MailedTokenRepository(session).valid(_hash(token), purpose, self.clock.now())
        if row is None:
            return None
        sealed = row.sealed_content
        content = self.envelope.open(sealed, purpose=_PURPOSE, place=row.token_hash) if sealed is not None else b"{}"
        return Proven(subject=row.subject, content=json.loads(content))

    async def use(self, session: Session, token: str, purpose: str, proven: Proven) -> bool:
        """Use the token up, and all others of its subject with it; whether it was still there to be used."""
        tokens, now = MailedTokenRepository(session), self.clock.now()
        if not await tokens.use(_hash(token), purpose, now):
            return False
        await tokens.end_all_of(purpose, proven.subject, now)
        return True

    def _derived(self, posted: Posted) -> list[str]:
        """Return the token of a mail, and behind it what it would have been under earlier root keys."""
        macs = self.envelope.macs(f"{posted.kind}:{posted.id}".encode(), purpose=_PURPOSE)
        return [f"cxm_{base64.urlsafe_b64encode(mac).decode().rstrip('=')}" for mac in macs]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()  # 256 bits nobody can guess need no slow hash

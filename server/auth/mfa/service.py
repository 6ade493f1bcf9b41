"""Enrol a device, judge its codes: each works once, and guessing is bounded whoever guesses and wherever."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from core.clock import Clock
from core.errors import Conflict, MfaInvalid, MfaRequired, RateLimitExceeded
from core.ids import UserId
from server.auth.mfa.picture import qr_code
from server.auth.mfa.repository import TotpRepository
from server.auth.mfa.schemas import RecoveryCodes, TotpEnrolment
from server.auth.tenants.account_log import AccountLog
from stores.sql.engine import Database
from stores.sql.models import TotpDeviceRow
from vault import totp
from vault.envelope import Envelope

# With three codes valid at a time, a guesser meets one of a million in a day with a chance of 20 * 3 / 10**6.
_FAILURES_A_DAY = 20
_DAY = timedelta(days=1)
_PURPOSE = "totp"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """One a process. `issuer` is what the authenticator shows above the code."""

    database: Database
    envelope: Envelope
    clock: Clock
    account_log: AccountLog
    issuer: str

    async def is_enabled(self, user_id: UserId) -> bool:
        async with self.database.reading() as session:
            device = await TotpRepository(session).find(user_id)
        return device is not None and device.confirmed_at is not None

    async def enrol(self, user_id: UserId) -> TotpEnrolment:
        """Return a new device's secret, labelled with the user's address. Raises Conflict while another is enabled."""
        secret = totp.new_secret()
        async with self.database.transaction() as session:
            devices = TotpRepository(session)
            device = await devices.locked(user_id)
            if device is not None and device.confirmed_at is not None:
                raise Conflict("A second factor is enabled. Disable it before enrolling another.")
            sealed = self.envelope.seal(secret, purpose=_PURPOSE, place=user_id)
            await devices.replace(user_id, sealed, self.clock.now())
            account = await devices.address_of(user_id)
        uri = totp.otpauth_uri(secret, issuer=self.issuer, account=account)
        return TotpEnrolment(secret=totp.base32(secret), otpauth_uri=uri, qr_code=qr_code(uri))

    async def confirm(self, user_id: UserId, code: str) -> RecoveryCodes:
        """Enable the device that was enrolled, by its first code. Raises Conflict, MfaInvalid, RateLimitExceeded."""
        async with self.database.reading() as session:
            device = await TotpRepository(session).find(user_id)
        if device is None or device.confirmed_at is not None:
            raise Conflict("There is no device to confirm. Enrol one first.")
        await self._judge(user_id, code)
        codes = totp.new_recovery_codes()
        async with self.database.transaction() as session:
            devices = TotpRepository(session)
            device = await devices.locked(user_id)
            if device is None or device.confirmed_at is not None:
                raise Conflict("There is no device to confirm. Enrol one first.")
            device.confirmed_at = self.clock.now()
            await devices.replace_recovery_codes(user_id, totp.hash_recovery_codes(codes))
            await self.account_log.append(session, user_id, action="totp.enabled")
        return RecoveryCodes(recovery_codes=codes)

    async def disable(self, user_id: UserId, code: str) -> None:
        """Remove the device and its recovery codes, for whoever has a code. Raises as `check`, and Conflict."""
        if not await self.is_enabled(user_id):
            raise Conflict("No second factor is enabled.")
        await self._judge(user_id, code)
        async with self.database.transaction() as session:
            await TotpRepository(session).delete(user_id)
            await self.account_log.append(session, user_id, action="totp.disabled")

    async def check(self, user_id: UserId, code: str | None) -> None:
        """Pass a user without a second factor, and one whose code is right.

        What it finds is committed at once, so call it before the request writes anything. Raises MfaRequired
        without a code, MfaInvalid with a wrong or used one, RateLimitExceeded after too many of these.
        """
        if not await self.is_enabled(user_id):
            return
        if code is None:
            raise MfaRequired("Send the code of your authenticator.")
        await self._judge(user_id, code)

    async def step_up(self, user_id: UserId, code: str | None) -> None:
        """Pass nobody but whoever has a second factor and sends its code. Raises as `check`."""
        if not await self.is_enabled(user_id):
            raise MfaRequired(
                "This needs a second factor, and you have none yet: POST /api/v1/auth/mfa/totp enrols one."
            )
        await self.check(user_id, code)

    async def _judge(self, user_id: UserId, code: str) -> None:
        now = self.clock.now()
        async with self.database.transaction(independent=True) as session:
            devices = TotpRepository(session)
            device = await devices.locked(user_id)
            if device is None:
                raise MfaInvalid("The code is not valid.")
            _refuse_while_locked(device, now)
            right = await self._is_right(devices, device, code, now)
            if not right:
                _count_failure(device, now)
        if not right:
            raise MfaInvalid("The code is not valid. Wait for the next one.")

    async def _is_right(self, devices: TotpRepository, device: TotpDeviceRow, code: str, now: datetime) -> bool:
        if device.confirmed_at is not None and totp.is_recovery_code(code):
            return await devices.use_recovery_code(UserId(device.user_id), totp.hash_recovery_code(code), now)
        secret = self.envelope.open(device.sealed_secret, purpose=_PURPOSE, place=device.user_id)
        step = totp.matching_step(secret, code, now, after=device.last_step)
        if step is None:
            return False
        device.last_step = step
        return True


def _refuse_while_locked(device: TotpDeviceRow, now: datetime) -> None:
    since = device.failures_since
    if since is None or now >= since + _DAY:
        device.failures, device.failures_since = 0, None
    elif device.failures >= _FAILURES_A_DAY:
        seconds = int((since + _DAY - now).total_seconds()) + 1
        raise RateLimitExceeded("Too many wrong codes. Try again later.", retry_after_seconds=seconds)


def _count_failure(device: TotpDeviceRow, now: datetime) -> None:
    device.failures += 1
    device.failures_since = device.failures_since or now

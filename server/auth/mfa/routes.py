"""Second factors of the user who asks."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, MfaInvalid, RateLimitExceeded
from server.auth.mfa.schemas import RecoveryCodes, TotpCode, TotpEnrolment, TotpState
from server.auth.principal import Person
from server.openapi.answers import answered
from server.openapi.registry import Keyed, Operations

if TYPE_CHECKING:
    from server.auth.mfa.service import SecondFactor

mfa = Operations("mfa", "/api/v1/auth/mfa")

# Secrets and recovery codes are shown once; no cache keeps them.
_UNKEPT = {"cache-control": "no-store"}


def _second_factor(request: Request) -> "SecondFactor":
    service: SecondFactor = request.app.ctx.parts.second_factor
    return service


@mfa.operation("GET", "/totp", answers={200: TotpState})
async def get_totp(request: Request, person: Person) -> HTTPResponse:
    """Say whether a second factor is enabled."""
    return answered(TotpState(enabled=await _second_factor(request).is_enabled(person.user)))


@mfa.operation("POST", "/totp", answers={201: TotpEnrolment}, errors=[Conflict], keyed=Keyed.IGNORED)
async def enrol_totp(request: Request, person: Person) -> HTTPResponse:
    """Begin to use an authenticator: scan the picture, then confirm with the first code it shows."""
    enrolment = await _second_factor(request).enrol(person.user)
    return answered(enrolment, status=201, headers=_UNKEPT)


@mfa.operation(
    "POST",
    "/totp/confirm",
    answers={200: RecoveryCodes},
    errors=[Conflict, MfaInvalid, RateLimitExceeded],
    keyed=Keyed.IGNORED,
)
async def confirm_totp(request: Request, person: Person, body: TotpCode) -> HTTPResponse:
    """Enable the second factor by its first code. The answer holds recovery codes: keep them on paper."""
    return answered(await _second_factor(request).confirm(person.user, body.code), headers=_UNKEPT)


@mfa.operation(
    "POST",
    "/totp/disable",
    answers={200: TotpState},
    errors=[Conflict, MfaInvalid, RateLimitExceeded],
    keyed=Keyed.IGNORED,
)
async def disable_totp(request: Request, person: Person, body: TotpCode) -> HTTPResponse:
    """Give the second factor up, with a code or a recovery code."""
    await _second_factor(request).disable(person.user, body.code)
    return answered(TotpState(enabled=False))

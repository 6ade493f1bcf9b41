"""Accounts, tokens, and the sessions of the user who asks."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    Conflict,
    MfaInvalid,
    MfaRequired,
    RateLimitExceeded,
    ResourceNotFound,
    ServiceUnavailable,
    ValidationFailed,
)
from server.auth.principal import Anyone, Person
from server.auth.sessions.schemas import (
    KeySet,
    LogIn,
    MailAccepted,
    Me,
    PasswordChange,
    PasswordChanged,
    PasswordReset,
    PasswordResetAsked,
    PublicKey,
    Refresh,
    Registered,
    Registration,
    RegistrationConfirmation,
    SessionEnded,
    SessionList,
    TokenPair,
)
from server.openapi.answers import answered
from server.openapi.registry import Keyed, Operations, RequestHeader

if TYPE_CHECKING:
    from server.auth.sessions.recovery.service import Recovery
    from server.auth.sessions.registration.service import Registrations
    from server.auth.sessions.service import Sessions
    from server.auth.sessions.signing.service import SigningKeys

sessions = Operations("auth", "/api/v1/auth")
well_known = Operations("auth", "/.well-known")

_UNKEPT = {"cache-control": "no-store"}
_MFA_HEADER = "x-vault-mfa-code"
_MFA = RequestHeader(name="X-Vault-MFA-Code", description="The second factor's code, in place of `mfa_code`.")


def _sessions(request: Request) -> "Sessions":
    service: Sessions = request.app.ctx.parts.sessions
    return service


def _registrations(request: Request) -> "Registrations":
    service: Registrations = request.app.ctx.parts.registrations
    return service


def _recovery(request: Request) -> "Recovery":
    service: Recovery = request.app.ctx.parts.recovery
    return service


def _code(request: Request, in_body: str | None) -> str | None:
    codes = {*request.headers.getall(_MFA_HEADER, []), *filter(None, [in_body])}
    if len(codes) > 1:
        raise ValidationFailed("The request has more than one code of a second factor.", violations=[])
    return next(iter(codes), None)


def _address(request: Request) -> str:
    client_address: Callable[[Request], str] = request.app.ctx.parts.client_address
    return client_address(request)


# A fingerprint of the body is kept with an Idempotency-Key: of a password, not even that.
@sessions.operation(
    "POST",
    "/register",
    answers={201: Registered, 202: MailAccepted},
    errors=[Conflict, RateLimitExceeded, ServiceUnavailable],
    keyed=Keyed.IGNORED,
)
async def register(request: Request, body: Registration) -> HTTPResponse:
    """Register a user, and a tenant that they own.

    Where this system sends mail, the answer is always 202, and the account begins when the token of the mail is
    confirmed. Where it does not, the account is there at once, and 409 says that the address is taken.
    """
    registered = await _registrations(request).register(body, address=_address(request))
    if registered is None:
        return answered(MailAccepted(), status=202)
    return answered(registered, status=201)


@sessions.operation(
    "POST",
    "/register/confirm",
    answers={201: Registered},
    errors=[AuthenticationFailed, Conflict, RateLimitExceeded, ServiceUnavailable],
    keyed=Keyed.IGNORED,
)
async def confirm_registration(request: Request, body: RegistrationConfirmation) -> HTTPResponse:
    """Make the account whose mail had this token. It takes the password chosen when registering, and works once."""
    made = await _registrations(request).confirm(body.token, body.password, address=_address(request))
    return answered(made, status=201)


@sessions.operation(
    "POST",
    "/password/reset",
    answers={202: MailAccepted},
    errors=[RateLimitExceeded, ServiceUnavailable],
    keyed=Keyed.IGNORED,
)
async def ask_password_reset(request: Request, body: PasswordResetAsked) -> HTTPResponse:
    """Have a token that resets the password sent to this address, if somebody registered it."""
    await _recovery(request).ask(body.email, address=_address(request))
    return answered(MailAccepted(), status=202)


@sessions.operation(
    "POST",
    "/password/reset/confirm",
    answers={200: PasswordChanged},
    errors=[AuthenticationFailed, RateLimitExceeded, ServiceUnavailable],
    keyed=Keyed.IGNORED,
)
async def reset_password(request: Request, body: PasswordReset) -> HTTPResponse:
    """Set a new password by a mailed token, which works once, within an hour. All sessions of the user end."""
    await _recovery(request).confirm(body.token, body.new_password, address=_address(request))
    return answered(PasswordChanged())


@sessions.operation(
    "POST",
    "/token",
    answers={200: TokenPair},
    errors=[AuthenticationFailed, MfaRequired, MfaInvalid, RateLimitExceeded, ServiceUnavailable],
    headers=[_MFA],
    keyed=Keyed.IGNORED,
)
async def log_in(request: Request, body: LogIn) -> HTTPResponse:
    """Log in with email and password. The answer is an access token and the refresh token that renews it."""
    code = _code(request, body.mfa_code)
    pair = await _sessions(request).log_in(body, address=_address(request), code=code)
    return answered(pair, headers=_UNKEPT)


@sessions.operation(
    "POST", "/refresh", answers={200: TokenPair}, errors=[AuthenticationFailed, Conflict], keyed=Keyed.IGNORED
)
async def refresh(request: Request, body: Refresh) -> HTTPResponse:
    """Exchange a refresh token for a new pair. Each works once; using one again later ends its session."""
    return answered(await _sessions(request).refresh(body.refresh_token), headers=_UNKEPT)


@sessions.operation("POST", "/logout", answers={200: SessionEnded}, keyed=Keyed.IGNORED)
async def log_out(request: Request, person: Person) -> HTTPResponse:
    """End the session that asks. Its tokens stop working within five seconds everywhere."""
    return answered(await _sessions(request).log_out(person))


@sessions.operation("GET", "/me", answers={200: Me})
async def who_am_i(request: Request, caller: Anyone) -> HTTPResponse:
    """Say for whom the credential speaks, in which tenant, and what it may do there."""
    return answered(await _sessions(request).me(caller))


@sessions.operation(
    "POST",
    "/password",
    answers={200: PasswordChanged},
    errors=[AuthorizationFailed, MfaRequired, MfaInvalid, Conflict, RateLimitExceeded, ServiceUnavailable],
    headers=[_MFA],
    keyed=Keyed.IGNORED,
)
async def change_password(request: Request, person: Person, body: PasswordChange) -> HTTPResponse:
    """Change the password. It asks for the second factor, if one is enabled; every other session of the user ends."""
    await _sessions(request).change_password(person, body, code=_code(request, body.mfa_code))
    return answered(PasswordChanged())


@sessions.operation("GET", "/sessions", answers={200: SessionList})
async def list_sessions(request: Request, person: Person) -> HTTPResponse:
    """List the newest hundred living sessions of the user."""
    return answered(await _sessions(request).living(person))


@sessions.operation("DELETE", "/sessions/{session_id}", answers={200: SessionEnded}, errors=[ResourceNotFound])
async def end_session(request: Request, person: Person, session_id: str) -> HTTPResponse:
    """End one of the user's sessions, on whatever device it is."""
    return answered(await _sessions(request).end(person, session_id))


@well_known.operation("GET", "/jwks.json", answers={200: KeySet})
async def get_jwks(request: Request) -> HTTPResponse:
    """Return the public keys that verify access tokens."""
    keys: SigningKeys = request.app.ctx.parts.signing_keys
    found = [PublicKey(kid=key.kid, x=key.public) for key in await keys.verifying()]
    # Shorter than a new key waits before it signs.
    return answered(KeySet(keys=found), headers={"cache-control": "public, max-age=30"})

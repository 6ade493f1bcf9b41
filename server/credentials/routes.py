"""Secrets of the tenant one acts in: stored, given out, followed through their versions."""

from typing import TYPE_CHECKING, Annotated

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, MfaInvalid, MfaRequired, ResourceNotFound, SecretExpired, ValidationFailed
from server.auth.principal import VaultLister, VaultReader, VaultWriter
from server.credentials.names import KeyInPath
from server.credentials.schemas import (
    Destruction,
    DestructionBody,
    RollbackBody,
    Rotation,
    RotationBody,
    SecretBody,
    SecretPage,
    SecretQuery,
    SecretsQuery,
    SecretValue,
    SecretView,
    UsageQuery,
    UsePage,
    VersionPage,
    VersionsQuery,
)
from server.openapi.answers import answered
from server.openapi.preconditions import etag_of
from server.openapi.registry import Operations, RequestHeader

if TYPE_CHECKING:
    from server.credentials.service import Credentials

# While requests cannot be counted nobody is to have more tries than they are allowed: nothing is answered then.
credentials = Operations("vault", "/api/v1/vault/secrets", closed=True)

_UNKEPT = {"cache-control": "no-store"}
_MFA_HEADER = "x-vault-mfa-code"
_MFA = RequestHeader(
    name="X-Vault-MFA-Code", description="The code of your second factor, where the secret requires one."
)
_STEPPED_UP = [MfaRequired, MfaInvalid]

Key = Annotated[str, KeyInPath]


def _credentials(request: Request) -> "Credentials":
    service: Credentials = request.app.ctx.parts.credentials
    return service


def _code(request: Request) -> str | None:
    codes: list[str] = request.headers.getall(_MFA_HEADER, [])
    if len(codes) > 1:
        raise ValidationFailed(f"The request has more than one {_MFA_HEADER} header.", violations=[])
    return codes[0] if codes else None


def _told(view: SecretView, status: int = 200) -> HTTPResponse:
    return answered(view, status=status, headers=_UNKEPT | {"etag": etag_of(view.version)})


@credentials.operation("POST", "", answers={201: SecretView}, errors=[Conflict, *_STEPPED_UP], headers=[_MFA])
async def store_secret(request: Request, owner: VaultWriter, body: SecretBody) -> HTTPResponse:
    """Store a secret, or another version of one. The answer never holds the value.

    Where a secret requires a second factor, that is also what it takes to lift this, or to let it go to other hosts.
    """
    return _told(await _credentials(request).store(owner, body, code=_code(request)), status=201)


@credentials.operation("GET", "", answers={200: SecretPage})
async def list_secrets(request: Request, owner: VaultLister, query: SecretsQuery) -> HTTPResponse:
    """List which secrets there are, newest first; not what they are."""
    return answered(await _credentials(request).page(owner, query), headers=_UNKEPT)


@credentials.operation(
    "GET",
    "/{key}",
    answers={200: SecretValue},
    errors=[ResourceNotFound, SecretExpired, *_STEPPED_UP],
    headers=[_MFA],
)
async def read_secret(request: Request, owner: VaultReader, key: Key, query: SecretQuery) -> HTTPResponse:
    """Give a secret out. That it was is in the audit log before the answer leaves.

    A slash of the key may stand in the path as it is. Where a key ends in a word of these paths, such as
    `db/versions`, write its slashes as `%2F`.
    """
    value = await _credentials(request).read(owner, key, query.version or None, code=_code(request))
    return answered(value, headers=_UNKEPT | {"etag": etag_of(value.version)})


@credentials.operation("DELETE", "/{key}", answers={200: SecretView}, errors=[ResourceNotFound])
async def delete_secret(request: Request, owner: VaultWriter, key: Key) -> HTTPResponse:
    """Delete a secret. Until `undelete_until` that can be taken back; then it is destroyed."""
    return _told(await _credentials(request).delete(owner, key))


@credentials.operation("POST", "/{key}/undelete", answers={200: SecretView}, errors=[ResourceNotFound, Conflict])
async def undelete_secret(request: Request, owner: VaultWriter, key: Key) -> HTTPResponse:
    """Bring a deleted secret back, with all its versions."""
    return _told(await _credentials(request).undelete(owner, key))


@credentials.operation("POST", "/{key}/destroy", answers={200: Destruction}, errors=[ResourceNotFound, Conflict])
async def destroy_secret(request: Request, owner: VaultWriter, key: Key, body: DestructionBody) -> HTTPResponse:
    """Destroy versions of a secret, or all of it, for good."""
    return answered(await _credentials(request).destroy(owner, key, body), headers=_UNKEPT)


@credentials.operation("GET", "/{key}/versions", answers={200: VersionPage}, errors=[ResourceNotFound])
async def list_secret_versions(request: Request, owner: VaultLister, key: Key, query: VersionsQuery) -> HTTPResponse:
    """List a secret's versions, newest first; not what they are."""
    return answered(await _credentials(request).versions(owner, key, query), headers=_UNKEPT)


@credentials.operation(
    "POST", "/{key}/rollback", answers={200: Rotation}, errors=[ResourceNotFound, Conflict, SecretExpired]
)
async def roll_back_secret(request: Request, owner: VaultWriter, key: Key, body: RollbackBody) -> HTTPResponse:
    """Make an earlier version's value, and its end, those of a new version."""
    return _told(await _credentials(request).roll_back(owner, key, body))


@credentials.operation("POST", "/{key}/rotate", answers={200: Rotation}, errors=[ResourceNotFound, Conflict])
async def rotate_secret(request: Request, owner: VaultWriter, key: Key, body: RotationBody) -> HTTPResponse:
    """Put another value in a secret's place. `succeeded` is said once the new one was read back."""
    return _told(await _credentials(request).rotate(owner, key, body))


@credentials.operation("GET", "/{key}/usage", answers={200: UsePage}, errors=[ResourceNotFound])
async def list_secret_uses(request: Request, owner: VaultLister, key: Key, query: UsageQuery) -> HTTPResponse:
    """List who was given which version when, and where flows sent it; newest first."""
    return answered(await _credentials(request).usage(owner, key, query), headers=_UNKEPT)

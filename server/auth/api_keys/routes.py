"""The API keys of the tenant one acts in."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, PreconditionFailed, ResourceNotFound
from server.auth.api_keys.schemas import ChangedKey, KeyMade, KeyPage, KeysQuery, KeyView, NewKey, RotatedKey
from server.auth.principal import KeyReader, KeyWriter
from server.openapi.answers import answered
from server.openapi.preconditions import IF_MATCH, etag_of, expected_tags
from server.openapi.registry import Operations

if TYPE_CHECKING:
    from server.auth.api_keys.service import KeyRing

api_keys = Operations("api-keys", "/api/v1/auth/api-keys")

# A key is shown once; no cache keeps it.
_UNKEPT = {"cache-control": "no-store"}


def _keys(request: Request) -> "KeyRing":
    service: KeyRing = request.app.ctx.parts.key_ring
    return service


def _shown(view: KeyView) -> HTTPResponse:
    return answered(view, headers={"etag": etag_of(view.version)})


@api_keys.operation("POST", "", answers={201: KeyMade})
async def create_api_key(request: Request, owner: KeyWriter, body: NewKey) -> HTTPResponse:
    """Make a key. The answer holds it: it is not shown again."""
    return answered(await _keys(request).create(owner, body), status=201, headers=_UNKEPT)


@api_keys.operation("GET", "", answers={200: KeyPage})
async def list_api_keys(request: Request, owner: KeyReader, query: KeysQuery) -> HTTPResponse:
    """List the keys that are not revoked, newest first."""
    return answered(await _keys(request).page(owner, query))


@api_keys.operation("GET", "/{key_id}", answers={200: KeyView}, errors=[ResourceNotFound])
async def get_api_key(request: Request, owner: KeyReader, key_id: str) -> HTTPResponse:
    """Show a key, without the key itself."""
    return _shown(await _keys(request).get(owner, key_id))


@api_keys.operation(
    "PATCH",
    "/{key_id}",
    answers={200: KeyView},
    errors=[ResourceNotFound, Conflict, PreconditionFailed],
    headers=[IF_MATCH],
)
async def change_api_key(request: Request, owner: KeyWriter, key_id: str, body: ChangedKey) -> HTTPResponse:
    """Change the name, the scopes or the end of a key."""
    return _shown(await _keys(request).change(owner, key_id, body, expected=expected_tags(request)))


@api_keys.operation("DELETE", "/{key_id}", answers={200: KeyView}, errors=[ResourceNotFound])
async def revoke_api_key(request: Request, owner: KeyWriter, key_id: str) -> HTTPResponse:
    """Revoke a key. It stops working everywhere within five seconds, for good."""
    return answered(await _keys(request).revoke(owner, key_id))


@api_keys.operation("POST", "/{key_id}/rotate", answers={201: KeyMade}, errors=[ResourceNotFound, Conflict])
async def rotate_api_key(request: Request, owner: KeyWriter, key_id: str, body: RotatedKey) -> HTTPResponse:
    """Make a key that takes the place of this one; both work for `overlap_seconds`."""
    return answered(await _keys(request).rotate(owner, key_id, body), status=201, headers=_UNKEPT)

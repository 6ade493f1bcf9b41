"""Who is asking, and may they: one Authorization header, one credential, one tenant, and what the handler demands."""

from sanic import Request

from core.errors import AuthenticationFailed, AuthorizationFailed, ValidationFailed
from server.auth.authentication import Authentication
from server.auth.principal import Principal
from server.openapi.registry import Requires

_HEADER = "authorization"
_TENANT_HEADER = "x-tenant-id"


class Authenticator:
    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    async def __call__(self, request: Request) -> Principal:
        """Return the principal. Raises AuthenticationFailed, AuthorizationFailed, ValidationFailed."""
        return await self._authentication.principal(_bearer(request), tenant=_single(request, _TENANT_HEADER))


def permit(principal: Principal, requires: Requires) -> None:
    """Raise AuthorizationFailed unless the principal has what the handler demands."""
    if requires.person and principal.user_id is None:
        raise AuthorizationFailed("An API key may not do that. Use an access token of a session.")
    if requires.scope is not None and requires.scope not in principal.scopes:
        raise AuthorizationFailed("This credential may not do that.", required_scope=requires.scope)


def _bearer(request: Request) -> str:
    scheme, _, token = (_single(request, _HEADER) or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthenticationFailed("Send a credential: Authorization: Bearer <API key or access token>")
    return token.strip()


def _single(request: Request, header: str) -> str | None:
    given: list[str] = request.headers.getall(header, [])
    if len(given) > 1:
        # Two readers could pick different ones: a proxy that checks the first, a server that obeys the second.
        raise ValidationFailed(f"The request has more than one {header} header.", violations=[])
    return given[0] if given else None

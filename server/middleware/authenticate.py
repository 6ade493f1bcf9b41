"""Who is asking, and may they: one Authorization header, one key, the scope that the handler's signature demands."""

from sanic import Request

from core.errors import AuthenticationFailed, AuthorizationFailed, ValidationFailed
from server.auth.principal import Principal
from server.auth.service import AuthService

_HEADER = "authorization"


class Authenticator:
    def __init__(self, auth: AuthService) -> None:
        self._auth = auth

    async def __call__(self, request: Request, scope: str) -> Principal:
        """Return the principal. Raises AuthenticationFailed, AuthorizationFailed, ValidationFailed."""
        principal = await self._auth.authenticate(_bearer(request))
        if scope not in principal.scopes:
            raise AuthorizationFailed("This key may not do that.", required_scope=scope)
        return principal


def _bearer(request: Request) -> str:
    given = request.headers.getall(_HEADER, [])
    if len(given) > 1:
        # Two readers could pick different ones: a proxy that checks the first, a server that obeys the second.
        raise ValidationFailed("The request has more than one Authorization header.", violations=[])
    scheme, _, token = (given[0] if given else "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthenticationFailed("Send an API key: Authorization: Bearer cxk_…")
    return token.strip()

"""From the credential of a request to the principal, whatever kind of credential it is."""

from core.errors import AuthenticationFailed
from server.auth.api_keys.service import ApiKeys
from server.auth.principal import Principal


class Authentication:
    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys

    async def principal(self, token: str, *, tenant: str | None) -> Principal:
        """Return who `token` speaks for, acting in `tenant` if it is one of theirs.

        Raises AuthenticationFailed, in the same words whatever is wrong with the token.
        """
        principal = await self._keys.find(token)
        if principal is None:
            raise AuthenticationFailed("The credential is not valid.")
        return principal

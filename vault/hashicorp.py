"""Keep values in a HashiCorp Vault or an OpenBao: in a key-value engine of version 2, a path a secret.

A value lies beside the tenant, key and version that it belongs to, and is given out for these only. The engine's
numbers of versions are not ours: a value that was written, and whose catalogue row was never committed, has one, too.
With a key of its transit engine a value lies there sealed under that, and bound to where it belongs.
"""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import hvac
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, VaultDown, VaultError

from core.ids import TenantId
from core.log import get_logger
from vault.store import Kept, Place, SecretBroken, SecretStoreSealed, SecretStoreUnreachable

log = get_logger()

Result = TypeVar("Result")

# The engine's own default is ten, and the oldest beyond them are gone for good.
MOST_VERSIONS = 10_000
_THREADS = 8
# What ciphertexts of the transit engine begin with. No base64 does.
_SEALED = "vault:"
# So much of a token's life is over when it is renewed.
_RENEWED_AFTER = 2 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to show who one is: by a token, an AppRole, or as a pod of Kubernetes. Exactly one of them is given."""

    token: str | None = None
    role_id: str | None = None
    secret_id: str | None = None
    kubernetes_role: str | None = None
    kubernetes_token_file: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class HashicorpStore:
    """hvac waits for answers, so it is called in threads; all share one pool of connections."""

    joins_transactions = False

    def __init__(
        self,
        *,
        address: str,
        login: Login,
        mount: str,
        prefix: str,
        namespace: str | None = None,
        ca_file: Path | None = None,
        timeout_seconds: float = 5.0,
        transit_mount: str = "transit",
        transit_key: str | None = None,
    ) -> None:
        verify: bool | str = True if ca_file is None else str(ca_file)
        self._client = hvac.Client(url=address, namespace=namespace, timeout=timeout_seconds, verify=verify)
        self._login = login
        self._mount = mount
        self._prefix = prefix
        self._transit_mount = transit_mount
        self._transit_key = transit_key
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="vault")
        self._logging_in = Lock()
        self._renewed_at = 0.0
        self._renew_at = 0.0

    async def write(self, place: Place, value: bytes, *, written_as: str | None = None) -> str:
        return await self._asked(lambda: self._write(place, value, written_as or secrets.token_hex(8)))

    async def read(self, place: Place, stored_as: str) -> bytes:
        return await self._asked(lambda: self._read(place, stored_as))

    async def destroy(self, place: Place, stored_as: str) -> None:
        await self._asked(lambda: self._destroy(place, stored_as))

    async def forget_tenant(self, tenant_id: TenantId) -> None:
        await self._asked(lambda: self._forget(f"{self._prefix}/{tenant_id}/"))

    async def kept(self, tenant_id: TenantId) -> Sequence[Kept]:
        return await self._asked(lambda: list(self._kept(f"{self._prefix}/{tenant_id}/", "")))

    async def health(self) -> None:
        await self._asked(self._health)

    def close(self) -> None:
        """End the threads and the connections."""
        self._threads.shutdown()
        self._client.adapter.close()

    async def _asked(self, ask: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._answered, ask)

    def _answered(self, ask: Callable[[], Result]) -> Result:
        try:
            known = self._known()
            try:
                return ask()
            except Forbidden:  # the token was revoked, or ended before its time: once more with a new one
                self._log_in(instead_of=known)
                return ask()
        except VaultDown as error:
            if _is_sealed(error):
                raise SecretStoreSealed("The store of secrets is sealed. An operator has to unseal it.") from None
            raise _away(error) from None
        # What requests raises of broken connections and times that ran out is an OSError.
        except (VaultError, OSError) as error:
            raise _away(error) from None

    def _write(self, place: Place, value: bytes, written_as: str) -> str:
        bound = _bound(place, written_as)
        kept = {"value": self._sealed(base64.b64encode(value).decode(), bound), **bound}
        engine, path = self._client.secrets.kv.v2, self._path(place)
        answer = engine.create_or_update_secret(path, secret=kept, mount_point=self._mount)
        version = int(answer["data"]["version"])
        if version == 1:
            engine.update_metadata(path, max_versions=MOST_VERSIONS, mount_point=self._mount)
        return f"{version}:{written_as}"

    def _read(self, place: Place, stored_as: str) -> bytes:
        number, _, written_as = stored_as.partition(":")
        try:
            answer = self._client.secrets.kv.v2.read_secret_version(
                self._path(place), version=int(number), mount_point=self._mount, raise_on_deleted_version=True
            )
        except InvalidPath:
            raise SecretBroken("There is no such value.") from None
        kept = dict(answer["data"]["data"])
        value, bound = kept.pop("value", None), _bound(place, written_as)
        if not isinstance(value, str) or kept != bound:
            raise SecretBroken("The value belongs to another place.")
        try:
            return base64.b64decode(self._opened(value, bound), validate=True)
        except ValueError:
            raise SecretBroken("The value is damaged.") from None

    def _sealed(self, plain: str, bound: dict[str, str]) -> str:
        """Return what lies in the key-value engine: the base64 itself where there is no key to seal it under."""
        if self._transit_key is None:
            return plain
        answer = self._client.secrets.transit.encrypt_data(
            self._transit_key, plaintext=plain, associated_data=_in_base64(bound), mount_point=self._transit_mount
        )
        return str(answer["data"]["ciphertext"])

    def _opened(self, kept: str, bound: dict[str, str]) -> str:
        """Return the base64 of a value. What was stored before there was a key lies there as it is."""
        if not kept.startswith(_SEALED):
            return kept
        if self._transit_key is None:
            raise SecretBroken("The value was sealed in the Vault, under a key that is not in the settings.")
        try:
            answer = self._client.secrets.transit.decrypt_data(
                self._transit_key, ciphertext=kept, associated_data=_in_base64(bound), mount_point=self._transit_mount
            )
        except InvalidRequest:
            raise SecretBroken("The value was changed, moved, or sealed under another key of the Vault.") from None
        return str(answer["data"]["plaintext"])

    def _destroy(self, place: Place, stored_as: str) -> None:
        number, named, _ = stored_as.partition(":")
        numbers = [int(number)] if named else self._numbers_of(place, written_as=stored_as)
        for each in numbers:
            with suppress(InvalidPath):
                self._client.secrets.kv.v2.destroy_secret_versions(
                    self._path(place), versions=[each], mount_point=self._mount
                )

    def _numbers_of(self, place: Place, *, written_as: str) -> list[int]:
        """Return under which number a value lies whose write was cut off before that was known; none if it is not."""
        for number in sorted(self._readable(self._path(place)), reverse=True):
            with suppress(SecretBroken):
                self._read(place, f"{number}:{written_as}")
                return [number]
        return []

    def _readable(self, path: str) -> list[int]:
        """Return the numbers of versions that were not destroyed."""
        try:
            found = self._client.secrets.kv.v2.read_secret_metadata(path, mount_point=self._mount)["data"]["versions"]
        except InvalidPath:
            return []
        return [int(number) for number, version in found.items() if not version["destroyed"]]

    def _kept(self, root: str, folder: str) -> Iterator[Kept]:
        for name in self._names(root + folder):
            if name.endswith("/"):
                yield from self._kept(root, folder + name)
            else:
                numbers = self._readable(root + folder + name)
                yield from (Kept(key=folder + name, number=str(number)) for number in numbers)

    def _names(self, folder: str) -> list[str]:
        try:
            names: list[str] = self._client.secrets.kv.v2.list_secrets(folder, mount_point=self._mount)["data"]["keys"]
        except InvalidPath:
            return []
        return names

    def _forget(self, folder: str) -> None:
        for name in self._names(folder):
            if name.endswith("/"):
                self._forget(folder + name)
            else:
                self._client.secrets.kv.v2.delete_metadata_and_all_versions(folder + name, mount_point=self._mount)

    def _health(self) -> None:
        state: Any = self._client.sys.read_seal_status()
        if state["sealed"]:
            raise SecretStoreSealed("The store of secrets is sealed. An operator has to unseal it.")
        self._client.auth.token.lookup_self()

    def _path(self, place: Place) -> str:
        return f"{self._prefix}/{place.tenant_id}/{place.key}"

    def _known(self) -> float:
        """Log in, or renew, if it is time; return since when the token is known."""
        if self._renewed_at == 0.0:
            self._log_in(instead_of=0.0)
        elif time.monotonic() >= self._renew_at:
            self._renew(self._renewed_at)
        return self._renewed_at

    def _renew(self, known: float) -> None:
        with self._logging_in:
            if self._renewed_at != known:  # another thread was first
                return
            try:
                self._note(self._client.auth.token.renew_self()["auth"]["lease_duration"])
                return
            except (Forbidden, InvalidRequest):
                pass  # it can be renewed no further
        self._log_in(instead_of=known)

    def _log_in(self, *, instead_of: float) -> None:
        with self._logging_in:
            if self._renewed_at != instead_of:
                return
            login = self._login
            if login.token is not None:
                self._client.token = login.token
                found = self._client.auth.token.lookup_self()["data"]
                self._note(found["ttl"] if found.get("renewable") else 0)
            elif login.role_id is not None:
                self._client.token = None
                answer = self._client.auth.approle.login(role_id=login.role_id, secret_id=login.secret_id)
                self._note(answer["auth"]["lease_duration"])
            else:
                self._client.token = None
                jwt = login.kubernetes_token_file.read_text("ascii").strip()
                answer = self._client.auth.kubernetes.login(role=login.kubernetes_role, jwt=jwt)
                self._note(answer["auth"]["lease_duration"])

    def _note(self, lease_seconds: float) -> None:
        # A lease of none is a token that does not end.
        self._renewed_at = time.monotonic()
        self._renew_at = self._renewed_at + lease_seconds * _RENEWED_AFTER if lease_seconds else float("inf")


def _bound(place: Place, written_as: str) -> dict[str, str]:
    return {
        "tenant": place.tenant_id,
        "key": place.key,
        "version": str(place.version),
        "written_as": written_as,
    }


def _in_base64(bound: dict[str, str]) -> str:
    return base64.b64encode(json.dumps(bound, sort_keys=True).encode()).decode()


def _is_sealed(error: VaultDown) -> bool:
    return any("sealed" in str(told).lower() for told in error.errors or [error])


def _away(error: Exception) -> SecretStoreUnreachable:
    # Also a login that is refused, and a policy that is too narrow: the operator reads it here, nobody else does.
    log.warning("vault.away", error=repr(error))
    return SecretStoreUnreachable("The store of secrets does not answer. Try again in a moment.")

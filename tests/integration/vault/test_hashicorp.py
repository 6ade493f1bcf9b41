"""What a HashiCorp Vault may do to us: it is sealed, slow, away, or has forgotten who we are, and is well again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from core.ids import TenantId, new_id
from tests.fakes.vault_server import MOUNT, POD_ROLE, POD_TOKEN, ROLE_ID, SECRET_ID, FakeVault, serving
from vault.hashicorp import HashicorpStore, Login
from vault.store import Place, SecretBroken, SecretStoreSealed, SecretStoreUnreachable


@pytest.fixture(autouse=True)
def _always_the_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real server is not ours to seal."""
    monkeypatch.delenv("VAULT_ADDR", raising=False)


def a_place(key: str = "db/password", version: int = 1) -> Place:
    return Place(tenant_id=TenantId(new_id()), key=key, version=version)


async def test_a_sealed_vault_is_told_and_well_again(hashicorp_store: HashicorpStore, fake_vault: FakeVault) -> None:
    """Everything says that it is sealed while it is, and works afterwards without a restart."""
    place = a_place()
    known = await hashicorp_store.write(place, b"secret")
    fake_vault.sealed = True
    asks: list[Callable[[], object]] = [
        lambda: hashicorp_store.read(place, known),
        lambda: hashicorp_store.write(place, b"more"),
        lambda: hashicorp_store.destroy(place, known),
        lambda: hashicorp_store.forget_tenant(place.tenant_id),
        hashicorp_store.health,
    ]
    for ask in asks:
        with pytest.raises(SecretStoreSealed):
            await ask()  # type: ignore[misc]
    fake_vault.sealed = False
    await hashicorp_store.health()
    assert await hashicorp_store.read(place, known) == b"secret"


async def test_a_slow_vault_is_not_waited_for(hashicorp_store: HashicorpStore, fake_vault: FakeVault) -> None:
    """After its time the store counts as away; once it answers in time it is well again."""
    place = a_place()
    known = await hashicorp_store.write(place, b"secret")
    fake_vault.delay_seconds = 3.0
    with pytest.raises(SecretStoreUnreachable):
        await hashicorp_store.read(place, known)
    fake_vault.delay_seconds = 0.0
    assert await hashicorp_store.read(place, known) == b"secret"


async def test_a_vault_that_was_away_is_found_again() -> None:
    """Not there at first, started later, restarted: nobody has to restart us."""
    vault = FakeVault()
    with serving(vault):
        port = int(vault.url.rpartition(":")[2])
    login = Login(role_id=ROLE_ID, secret_id=SECRET_ID)
    store = HashicorpStore(address=vault.url, login=login, mount=MOUNT, prefix="codexos", timeout_seconds=2.0)
    place = a_place()
    with pytest.raises(SecretStoreUnreachable):
        await store.write(place, b"secret")
    with serving(vault, port):
        known = await store.write(place, b"secret")
    with pytest.raises(SecretStoreUnreachable):
        await store.read(place, known)
    with serving(vault, port):
        assert await store.read(place, known) == b"secret"
    store.close()


async def test_a_revoked_token_is_replaced(hashicorp_store: HashicorpStore, fake_vault: FakeVault) -> None:
    """Also when eight ask at once: one logs in, and nobody sees an error."""
    place = a_place()
    known = await hashicorp_store.write(place, b"secret")
    fake_vault.revoke_tokens()
    found = await asyncio.gather(*(hashicorp_store.read(place, known) for _ in range(8)))
    assert set(found) == {b"secret"}
    assert fake_vault.asked.count("POST auth/approle/login") == 2


async def test_a_token_is_renewed_before_it_ends(hashicorp_store: HashicorpStore, fake_vault: FakeVault) -> None:
    """So that logging in, which may need a secret id of one use, is rare."""
    fake_vault.lease_seconds = 1
    place = a_place()
    known = await hashicorp_store.write(place, b"secret")
    async with asyncio.timeout(10):
        while "POST auth/token/renew-self" not in fake_vault.asked:
            assert await hashicorp_store.read(place, known) == b"secret"
            await asyncio.sleep(0.02)


async def test_a_pod_shows_who_it_is(fake_vault: FakeVault, tmp_path: Path) -> None:
    """By the token that Kubernetes puts beside it, read anew at each login: it is replaced every hour."""
    file = tmp_path / "token"
    file.write_text("of yesterday\n")
    login = Login(kubernetes_role=POD_ROLE, kubernetes_token_file=file)
    store = HashicorpStore(address=fake_vault.url, login=login, mount=MOUNT, prefix="p")
    with pytest.raises(SecretStoreUnreachable):
        await store.health()
    file.write_text(f"{POD_TOKEN}\n")
    place = a_place()
    assert await store.read(place, await store.write(place, b"secret")) == b"secret"
    store.close()


async def test_a_value_under_a_key_of_the_vault_opens_in_its_place_only(
    hashicorp_store: HashicorpStore, transit_store: HashicorpStore, fake_vault: FakeVault
) -> None:
    """What lies in the engine is ciphertext; moved with all that lies beside it, or without its key: refused."""
    place, other = a_place(), a_place()
    before = await hashicorp_store.write(place, b"before there was a key")
    known = [await transit_store.write(at, b"secret") for at in (place, other)]
    mine, others = [
        next(found for path, found in fake_vault.secrets.items() if path.startswith(transit_store._path(at)))
        for at in (place, other)
    ]
    assert mine.kept[1] is not None
    assert others.kept[1] is not None
    assert mine.kept[1]["value"].startswith("vault:v1:")
    assert await transit_store.read(place, known[0]) == b"secret"
    mine.kept[1]["value"], others.kept[1]["value"] = others.kept[1]["value"], mine.kept[1]["value"]
    for at, stored_as in ((place, known[0]), (other, known[1])):
        with pytest.raises(SecretBroken):
            await transit_store.read(at, stored_as)
    fake_vault.secrets[hashicorp_store._path(other)] = others
    with pytest.raises(SecretBroken, match="not in the settings"):
        await hashicorp_store.read(other, known[1])
    fake_vault.secrets[transit_store._path(place)] = fake_vault.secrets[hashicorp_store._path(place)]
    assert await transit_store.read(place, before) == b"before there was a key"


async def test_a_wrong_login_is_no_crash(fake_vault: FakeVault, tmp_path: Path) -> None:
    """Neither is a refused AppRole, nor a wrong token, nor a pod without its own."""
    ways = [
        Login(role_id=ROLE_ID, secret_id="wrong"),
        Login(token="hvs.wrong"),
        Login(kubernetes_role="codexos", kubernetes_token_file=tmp_path / "absent"),
    ]
    for login in ways:
        store = HashicorpStore(address=fake_vault.url, login=login, mount=MOUNT, prefix="codexos")
        with pytest.raises(SecretStoreUnreachable):
            await store.health()
        store.close()


async def test_connections_are_kept(hashicorp_store: HashicorpStore, fake_vault: FakeVault) -> None:
    """Two hundred reads, many at once, need no more connections than there are threads."""
    place = a_place()
    known = await hashicorp_store.write(place, b"secret")
    await asyncio.gather(*(hashicorp_store.read(place, known) for _ in range(200)))
    assert fake_vault.connections <= 8


async def test_versions_beyond_ten_are_kept(hashicorp_store: HashicorpStore) -> None:
    """The engine keeps ten, if it is not told otherwise."""
    tenant_id = TenantId(new_id())
    places = [Place(tenant_id=tenant_id, key="often", version=number) for number in range(1, 16)]
    known = [await hashicorp_store.write(place, str(place.version).encode()) for place in places]
    assert [await hashicorp_store.read(*each) for each in zip(places, known, strict=True)] == [
        str(place.version).encode() for place in places
    ]


async def test_a_value_that_was_moved_is_refused(hashicorp_store: HashicorpStore, fake_vault: FakeVault) -> None:
    """Whoever may write to the engine cannot put one secret in another's place."""
    mine, other = a_place("mine"), a_place("other")
    known, _ = await hashicorp_store.write(mine, b"mine"), await hashicorp_store.write(other, b"other")
    [path] = [name for name in fake_vault.secrets if name.endswith("/mine")]
    [theirs] = [name for name in fake_vault.secrets if name.endswith("/other")]
    fake_vault.secrets[path].kept[1] = fake_vault.secrets[theirs].kept[1]
    with pytest.raises(SecretBroken):
        await hashicorp_store.read(mine, known)

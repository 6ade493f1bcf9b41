"""A HashiCorp Vault: the one that VAULT_ADDR and VAULT_TOKEN name, or the fake."""

import os
from collections.abc import Iterator
from contextlib import suppress

import hvac
import pytest
from hvac.exceptions import InvalidRequest

from core.ids import new_id
from tests.fakes.vault_server import MOUNT, ROLE_ID, SECRET_ID, TRANSIT_KEY, FakeVault, serving
from vault.hashicorp import HashicorpStore, Login


@pytest.fixture
def fake_vault() -> Iterator[FakeVault]:
    with serving(FakeVault()) as vault:
        yield vault


@pytest.fixture
def hashicorp_store(request: pytest.FixtureRequest) -> Iterator[HashicorpStore]:
    store = a_store(request)
    yield store
    store.close()


@pytest.fixture
def transit_store(request: pytest.FixtureRequest) -> Iterator[HashicorpStore]:
    """One that seals values under a key of the transit engine."""
    if os.environ.get("VAULT_ADDR") is not None:
        client = hvac.Client(url=os.environ["VAULT_ADDR"], token=os.environ["VAULT_TOKEN"])
        with suppress(InvalidRequest):  # it is enabled
            client.sys.enable_secrets_engine("transit")
        client.secrets.transit.create_key(TRANSIT_KEY)
    store = a_store(request, transit_key=TRANSIT_KEY)
    yield store
    store.close()


def a_store(request: pytest.FixtureRequest, *, transit_key: str | None = None) -> HashicorpStore:
    address = os.environ.get("VAULT_ADDR")
    if address is not None:
        login = Login(token=os.environ["VAULT_TOKEN"])
    else:
        address = request.getfixturevalue("fake_vault").url
        login = Login(role_id=ROLE_ID, secret_id=SECRET_ID)
    return HashicorpStore(
        address=address,
        login=login,
        mount=os.environ.get("CODEXOS_TEST_VAULT_MOUNT", MOUNT),
        prefix=f"codexos-test-{new_id()}",
        timeout_seconds=2.0,
        transit_key=transit_key,
    )

"""A HashiCorp Vault: the one that VAULT_ADDR and VAULT_TOKEN name, or the fake."""

import os
from collections.abc import Iterator

import pytest

from core.ids import new_id
from tests.fakes.vault_server import MOUNT, ROLE_ID, SECRET_ID, FakeVault, serving
from vault.hashicorp import HashicorpStore, Login


@pytest.fixture
def fake_vault() -> Iterator[FakeVault]:
    with serving(FakeVault()) as vault:
        yield vault


@pytest.fixture
def hashicorp_store(request: pytest.FixtureRequest) -> Iterator[HashicorpStore]:
    address = os.environ.get("VAULT_ADDR")
    if address is not None:
        login = Login(token=os.environ["VAULT_TOKEN"])
    else:
        address = request.getfixturevalue("fake_vault").url
        login = Login(role_id=ROLE_ID, secret_id=SECRET_ID)
    store = HashicorpStore(
        address=address,
        login=login,
        mount=os.environ.get("CODEXOS_TEST_VAULT_MOUNT", MOUNT),
        prefix=f"codexos-test-{new_id()}",
        timeout_seconds=2.0,
    )
    yield store
    store.close()

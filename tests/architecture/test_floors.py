"""The contracts of pyproject.toml see the whole house, and hold what they cannot say themselves."""

import importlib
import tomllib
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, imports, modules, packages

LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]


def test_contracts_cover_every_package() -> None:
    """A new top-level package must find its floor before it is merged."""
    assert sorted(LINTER["root_packages"]) == packages()
    floors = next(contract for contract in LINTER["contracts"] if contract["id"] == "floors")
    placed = [name.strip() for layer in floors["layers"] for name in layer.split("|")]
    assert sorted(placed) == packages()


@pytest.mark.parametrize("name", packages())
def test_package_is_loaded_from_this_checkout(name: str) -> None:
    """What is read here is what runs: no installed package of the same name comes first."""
    module = importlib.import_module(name)
    assert Path(str(module.__file__)).parent == ROOT / name


def test_no_route_imports_a_repository() -> None:
    """A route parses, calls its service once and answers; rows are not its business."""
    offenders = {
        f"{route.relative_to(ROOT)} imports {name}"
        for route in modules("server")
        if route.stem == "routes" or route.parent.name == "routes"
        for name in imports(route)
        if "repository" in name.split(".") or name.startswith("stores.sql")
    }
    assert offenders == set()


def test_nothing_in_the_house_imports_the_tests() -> None:
    """Twins that ship stand beside what they double; tests/fakes stays in the tests."""
    offenders = {
        str(module.relative_to(ROOT))
        for module in modules(*packages())
        if any(name.split(".")[0] == "tests" for name in imports(module))
    }
    assert offenders == set()

"""Making the environment fails in one sentence: each thing that may be missing is made to be missing, for real."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# What the script calls; a folder of these as PATH has no compiler and no Python.
COMMANDS = ("awk", "bash", "cat", "cmp", "cp", "df", "dirname", "env", "grep", "ls", "rm", "sed", "tee", "uname")
SETUP = """
from setuptools import Extension, setup
setup(name="needs-c", version="1.0", ext_modules=[Extension("needs_c", ["needs_c.c"])])
"""


class Checkout:
    """A fresh clone as far as the script can tell, on a machine that has what is in `commands`."""

    def __init__(self, folder: Path, outside: Path) -> None:
        self.folder = folder
        self.commands = outside / "commands"
        self.home = outside / "home"
        self.commands.mkdir(parents=True)
        for name in COMMANDS:
            self.give(name, shutil.which(name))
        (folder / "deploy" / "local").mkdir(parents=True)
        shutil.copy(ROOT / "deploy" / "local" / "environment.sh", folder / "deploy" / "local")
        self.require("")

    def give(self, name: str, program: str | Path | None) -> None:
        assert program is not None, f"{name} is on no machine that runs these tests"
        (self.commands / name).symlink_to(program)

    def give_uv(self) -> None:
        own = ROOT / ".venv" / "uv" / "bin" / "uv"
        uv = own if own.exists() else shutil.which("uv")
        if uv is None:
            pytest.skip(
                "The uv that made this environment is not on PATH any more; `make clean test` brings one along."
            )
        self.give("uv", uv)

    def require(self, line: str) -> None:
        for name in ("requirements.lock", "requirements-dev.lock"):
            (self.folder / name).write_text(line + "\n")

    def require_file(self, package: str, file: Path) -> None:
        self.require(f"{package} @ {file.as_uri()} --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}")

    def make_venv(self) -> Path:
        """Make the .venv beforehand, and return its folder of packages."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.folder / ".venv"], check=True)
        [packages] = (self.folder / ".venv").glob("lib/python*/site-packages")
        return packages

    def set_up(self) -> tuple[int, str]:
        """Run the script with no network; return its status and its last line."""
        environment = {
            "PATH": str(self.commands),
            "HOME": str(self.home),
            "UV_OFFLINE": "1",
            "UV_NO_BUILD_ISOLATION": "1",
        }
        script = [self.folder / "deploy" / "local" / "environment.sh", "runtime"]
        done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, (done.stdout + done.stderr).splitlines()[-1]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout", tmp_path)


@pytest.fixture
def full_checkout(tmp_path: Path) -> Iterator[Checkout]:
    """Yield a checkout on a disk of four megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("Only root may mount the small disk that this test fills.")
    try:
        yield Checkout(disk / "checkout", tmp_path)
    finally:
        subprocess.run(["umount", disk], check=True)


def a_source_distribution(folder: Path) -> Path:
    """Return a package with a C extension, of which there is no wheel."""
    archive = folder / "needs_c-1.0.tar.gz"
    files = {
        "setup.py": SETUP,
        "needs_c.c": "int nothing;",
        "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'setuptools.build_meta'\n",
        "PKG-INFO": "Metadata-Version: 2.1\nName: needs-c\nVersion: 1.0\n",
    }
    with tarfile.open(archive, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"needs_c-1.0/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return archive


def a_big_wheel(folder: Path) -> Path:
    wheel = folder / "big-1.0-py3-none-any.whl"
    about = "big-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("big.bin", os.urandom(8 * 2**20))
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: big\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in archive.namelist()))
    return wheel


def test_missing_compiler_is_one_sentence(checkout: Checkout, tmp_path: Path) -> None:
    """A requirement that has to be built, on a machine without a compiler, says what to install."""
    checkout.give_uv()
    packages = checkout.make_venv()
    [builders] = (ROOT / ".venv").glob("lib/python*/site-packages")
    (packages / "builders.pth").write_text(f"{builders}\n")  # setuptools, which a build would otherwise fetch
    checkout.require_file("needs-c", a_source_distribution(tmp_path))
    status, said = checkout.set_up()
    assert status == 1
    assert said == (
        "CodexOS: a requirement has no ready-made wheel for this machine and no C compiler was found to build it; "
        "on Debian and Ubuntu: apt install build-essential."
    )
    assert not (checkout.folder / ".venv" / "synced-runtime.lock").exists()


def test_disk_too_small_is_said_before_anything_is_made(full_checkout: Checkout) -> None:
    """Three gigabytes are needed, four megabytes are there: nothing is fetched and no .venv begun."""
    full_checkout.give("python3", sys.executable)
    status, said = full_checkout.set_up()
    assert status == 1
    assert said.startswith("CodexOS: the disk is full: ")
    assert said.endswith(" MB are free here and the environment needs 3000 MB.")
    assert not (full_checkout.folder / ".venv").exists()


def test_disk_that_fills_up_on_the_way_is_one_sentence(full_checkout: Checkout, tmp_path: Path) -> None:
    """Enough room at the start, none in the middle: the sentence is about the disk, not about the installer."""
    full_checkout.give_uv()
    full_checkout.make_venv()
    full_checkout.require_file("big", a_big_wheel(tmp_path))
    status, said = full_checkout.set_up()
    assert status == 1
    assert said.startswith("CodexOS: the disk is full: ")


def test_missing_python_is_one_sentence(checkout: Checkout) -> None:
    """A machine without a Python says which to install."""
    status, said = checkout.set_up()
    assert (status, said) == (
        1,
        "CodexOS: no Python was found that runs; install Python 3.11, 3.12 or 3.13 and run this again.",
    )

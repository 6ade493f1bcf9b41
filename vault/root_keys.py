"""The file of root keys: one a line, in hex. The first seals, all of them open; a change counts at once everywhere."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import CodexError
from core.log import get_logger
from vault.envelope import ROOT_KEY_BYTES

log = get_logger()

_PRIVATE = 0o600
# Size, inode and time of change: what a new file in the old one's place differs by.
Seen = tuple[int, int, int] | None


class RootKeyUnusable(CodexError):
    """The root key is missing, damaged or readable by others; without it nothing sealed can be opened."""

    code = "ROOT_KEY_UNUSABLE"


@dataclass(slots=True)
class RootKeyFile:
    """One a process, with what it has seen of the file."""

    path: Path
    _seen: Seen = None

    def read(self, *, make: bool) -> tuple[bytes, ...]:
        """Return the keys. `make` writes one, mode 0600, where there is no file.

        Raises RootKeyUnusable with a sentence that says what to do.
        """
        self._seen = self._look()
        try:
            return read_root_keys(self.path, make=make)
        finally:
            self._seen = self._seen or self._look()

    def changed(self) -> Sequence[bytes] | None:
        """Return the keys if the file is another than before. One that is unusable changes nothing, and is logged."""
        seen = self._look()
        if seen == self._seen:
            return None
        self._seen = seen
        try:
            return read_root_keys(self.path, make=False)
        except RootKeyUnusable as unusable:
            log.error("root_key.unusable", message=unusable.message)
            return None

    def _look(self) -> Seen:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_size, found.st_ino, found.st_mtime_ns


def read_root_keys(file: Path, *, make: bool) -> tuple[bytes, ...]:
    """Return the keys that `file` holds, the one that seals first. See `RootKeyFile.read`."""
    if make:
        with contextlib.suppress(FileExistsError):
            _write_first(file)
    try:
        mode = file.stat().st_mode
        text = file.read_text("ascii")
    except FileNotFoundError:
        raise RootKeyUnusable(f"There is no root key at {file}. Restore it, or set CODEXOS_ROOT_KEY_FILE.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RootKeyUnusable(f"The root key at {file} cannot be read: {error}.") from None
    if mode & 0o077:
        raise RootKeyUnusable(f"The root key at {file} is readable by others. Run: chmod 600 {file}")
    keys = [_key_of(line) for line in text.strip().splitlines()]
    if not keys or b"" in keys:
        raise RootKeyUnusable(
            f"The root key at {file} is damaged: each line should be {ROOT_KEY_BYTES} bytes in hex, and there be one."
        )
    return tuple(dict.fromkeys(keys))


@contextlib.contextmanager
def changing(file: Path) -> Iterator[None]:
    """Let nobody else change the file meanwhile. Raises RootKeyUnusable if somebody does."""
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise RootKeyUnusable(f"Somebody else is changing {file}. Try again when they are done.") from None
    finally:
        os.close(folder)


def write_root_keys(file: Path, keys: Sequence[bytes]) -> None:
    """Put these keys in the file's place, whole or not at all. Raises RootKeyUnusable if it cannot be written."""
    fresh = file.with_name(f"{file.name}.new")
    try:
        fresh.unlink(missing_ok=True)  # of somebody who was killed
        _write(fresh, keys)
        fresh.replace(file)
        _settle(file.parent)
    except OSError as error:
        raise RootKeyUnusable(f"{file} cannot be written: {error}.") from None


def put_aside(file: Path, keys: Sequence[bytes]) -> Path:
    """Add keys to the file of those that are out of use, which opens backups; return where it is."""
    aside = file.with_name(f"{file.name}.retired")
    known = read_root_keys(aside, make=False) if aside.exists() else ()
    write_root_keys(aside, tuple(dict.fromkeys((*keys, *known))))
    return aside


def _write_first(file: Path) -> None:
    """Put a new key there, whole or not at all; raises FileExistsError where another process was first."""
    if file.exists():
        raise FileExistsError(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        _write(fresh, [secrets.token_bytes(ROOT_KEY_BYTES)])
        os.link(fresh, file)
    finally:
        fresh.unlink(missing_ok=True)


def _write(fresh: Path, keys: Sequence[bytes]) -> None:
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "w", encoding="ascii") as opened:
        opened.writelines(f"{key.hex()}\n" for key in keys)
        opened.flush()
        os.fsync(opened.fileno())


def _settle(folder: Path) -> None:
    """Make a change of names last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _key_of(line: str) -> bytes:
    try:
        key = bytes.fromhex(line.strip())
    except ValueError:
        return b""
    return key if len(key) == ROOT_KEY_BYTES else b""

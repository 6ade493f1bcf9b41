"""A folder that nobody may touch, and a listener that nobody may reach: what hostile files point at."""

import hashlib
import os
import select
import socket
import time
from pathlib import Path

SECRET = "canary-7f3a91-that-nobody-may-read"


class CanaryTree:
    """Folders and files of which every name, time, mode and byte is remembered."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for place in ("secret.txt", "home/key.pem", "home/.ssh/config", "job/other.docx", "tmp/climbed.txt"):
            file = root / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{SECRET} {place}")
        (root / "job" / "link").symlink_to(root / "secret.txt")
        old = time.time() - 86_400
        for place in [*root.rglob("*"), root]:
            os.utime(place, (old, old), follow_symlinks=False)

    def state(self) -> dict[str, tuple[object, ...]]:
        """Return what is there, and of it all that reading and writing would change."""
        return {str(place.relative_to(self.root)): _looks(place) for place in [*self.root.rglob("*"), self.root]}


def _looks(place: Path) -> tuple[object, ...]:
    found = place.lstat()
    inside = hashlib.sha256(place.read_bytes()).hexdigest() if place.is_file() and not place.is_symlink() else ""
    return found.st_mtime_ns, found.st_mode, found.st_size if not place.is_dir() else 0, inside


class Listener:
    """Something that answers on TCP and UDP, and counts who came."""

    def __init__(self) -> None:
        self._tcp = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def visits(self) -> int:
        """Return how many came since this was last asked."""
        count = 0
        while ready := select.select([self._tcp, self._udp], [], [], 0)[0]:
            for end in ready:
                if end is self._tcp:
                    end.accept()[0].close()
                else:
                    end.recv(4096)
                count += 1
        return count

    def close(self) -> None:
        self._tcp.close()
        self._udp.close()

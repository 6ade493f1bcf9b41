"""A source in the running system: the daemon's own run is killed while it crawls, and another one goes on."""

import os
import signal
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.system import RunningSystem, until
from tests.fakes.website import Asked, Website, answer, website_beside

pytestmark = pytest.mark.slow  # the system is started anew, and a lease and a look of the daemon are waited for


class SystemBesideASite(RunningSystem):
    """A system whose operator allows one place on loopback."""

    def __init__(self, home: Path, place: str) -> None:
        super().__init__(home)
        self.place = place

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "CODEXOS_EGRESS_ALLOW": self.place}


def last_crawl(client: httpx.Client, source_id: str) -> dict[str, Any]:
    crawls = client.get(f"/api/v1/rag/sources/{source_id}/crawls").raise_for_status().json()["items"]
    return crawls[0] if crawls else {"state": "none"}


def fill(site: Website) -> None:
    """Show fifty pages, of which one keeps whoever asks first waiting for ever."""
    entries = "".join(f"<url><loc>{site.url}/{number:02d}</loc></url>" for number in range(50))
    site.pages = {f"/{number:02d}": answer(f"Page {number} tells about cranes.") for number in range(50)}
    site.pages["/sitemap.xml"] = answer(f"<urlset>{entries}</urlset>")

    def first_never(asked: Asked) -> bytes:
        waiting = sum(each.path == asked.path for each in site.asked)
        return b"" if waiting == 1 else answer("Page 30 tells about cranes, at last.")

    site.pages["/30"] = first_never


def test_a_killed_run_of_the_daemon_is_gone_on_with(tmp_path: Path) -> None:
    """POST, the sensor, a run, kill -9, another run, the batch lane, an answer; nothing by hand but the kill."""
    with website_beside() as site:
        fill(site)
        system = SystemBesideASite(tmp_path / "home", site.place)
        try:
            system.start()
            with system.client() as client:
                body = {"name": "site", "type": "sitemap", "location": f"{site.url}/sitemap.xml", "cadence": "1d"}
                source_id = client.post("/api/v1/rag/sources", json=body).raise_for_status().json()["source_id"]
                until(lambda: any(asked.path == "/30" for asked in site.asked), "page 30 is asked for", 180)
                [run] = talking_to(site.port, system.processes())
                os.kill(run, signal.SIGKILL)
                until(lambda: last_crawl(client, source_id)["state"] == "succeeded", "the crawl is gone on with", 300)
                counts = last_crawl(client, source_id)["counts"]
                assert (counts["listed"], counts["new"], counts["failed"]) == (50, 50, 0)
                asked = Counter(each.path for each in site.asked)
                # The first twenty were committed; the ten before the one that hung were not.
                assert [asked[f"/{number:02d}"] for number in range(50)] == [1] * 20 + [2] * 11 + [1] * 19
                until(lambda: indexed(client) == 50, "every document is indexed", 400)
                found = client.post("/api/v1/rag/query", json={"query": "cranes, at last"}).raise_for_status().json()
                assert found["results"][0]["metadata"]["source"] == f"{site.url}/30"
        finally:
            system.abandon()


def talking_to(port: int, processes: Iterable[int]) -> list[int]:
    """Return those of `processes` that have a connection to `port` of loopback."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    inodes = {f"socket:[{line[9]}]" for line in lines if line[2].endswith(f":{port:04X}")}
    return [pid for pid in processes if inodes & open_files(pid)]


def open_files(pid: int) -> set[str]:
    found = set()
    with suppress(FileNotFoundError):  # processes end, and files are closed, while they are looked at
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.add(str(file.readlink()))
    return found


def indexed(client: httpx.Client) -> int:
    return len(client.get("/api/v1/rag/documents?status=indexed&limit=100").raise_for_status().json()["items"])

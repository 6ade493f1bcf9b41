"""Canaries on loopback, every way to write where they are, and whoever tried to get there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpcore
import pytest

from tests.fakes.website import Website, answer, website

# {p} is the canary's port, on which it listens on 127.0.0.1 and ::1.
FORMS = """
http://127.0.0.1:{p}/ http://127.0.0.2:{p}/ http://127.1:{p}/ http://127.0.1:{p}/ http://2130706433:{p}/
http://017700000001:{p}/ http://0x7f000001:{p}/ http://0x7f.0.0.1:{p}/ http://0177.0.0.1:{p}/ http://0x7f.1:{p}/
http://0177.1:{p}/ http://127.0.0.1.:{p}/ http://127.0.0.01:{p}/ http://127.0.0.0x1:{p}/ http://0x7F.0x0.0x0.0x1:{p}/
http://00000177.0.0.1:{p}/ http://6425673729:{p}/ http://127.000.000.001:{p}/ http://127.65535:{p}/ http://127.16777215:{p}/
http://0.0.0.0:{p}/ http://0:{p}/ http://0x0:{p}/ http://00:{p}/ http://0.0:{p}/
http://localhost:{p}/ http://LOCALHOST:{p}/ http://localhost.:{p}/ http://ip6-localhost:{p}/ http://localhost.localdomain:{p}/
http://[::1]:{p}/ http://[0:0:0:0:0:0:0:1]:{p}/ http://[0000:0000:0000:0000:0000:0000:0000:0001]:{p}/ http://[::]:{p}/
http://[::0.0.0.1]:{p}/ http://[::127.0.0.1]:{p}/ http://[::7f00:1]:{p}/ http://[::ffff:127.0.0.1]:{p}/
http://[::ffff:7f00:1]:{p}/ http://[::FFFF:127.0.0.1]:{p}/ http://[0:0:0:0:0:ffff:127.0.0.1]:{p}/ http://[::ffff:0:7f00:1]:{p}/
http://[::ffff:0.0.0.0]:{p}/ http://[64:ff9b::127.0.0.1]:{p}/ http://[64:ff9b::7f00:1]:{p}/ http://[64:ff9b:1::7f00:1]:{p}/
http://[2002:7f00:1::]:{p}/ http://[2001::7f00:1]:{p}/ http://[fe80::1]:{p}/ http://[fe80::1%25lo]:{p}/ http://[::1%25lo]:{p}/
http://[::1%lo]:{p}/ http://[fc00::1]:{p}/ http://[fd00:ec2::254]/ http://[ff02::1]:{p}/ http://[fec0::1]:{p}/
http://169.254.169.254/latest/meta-data/ http://0xa9fea9fe/ http://2852039166/ http://0251.0376.0251.0376/
http://169.254.43518/ http://[::ffff:169.254.169.254]/ http://169.254.170.2/ http://100.100.100.200/ http://192.0.0.192/
http://168.63.129.16/ http://10.0.0.1:{p}/ http://172.16.0.1:{p}/ http://192.168.0.1:{p}/ http://192.168.257:{p}/
http://100.64.0.1:{p}/ http://198.18.0.1:{p}/ http://224.0.0.1:{p}/ http://255.255.255.255:{p}/ http://240.0.0.1:{p}/
http://①②⑦.⓪.⓪.①:{p}/ http://１２７.０.０.１:{p}/ http://127。0。0。1:{p}/ http://127．0．0．1:{p}/ http://١٢٧.0.0.1:{p}/
http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{p}/ http://%31%32%37.0.0.1:{p}/ http://127.0.0.1%2e:{p}/ http://127.0.0.1%00.example.org:{p}/
http://user@127.0.0.1:{p}/ http://example.org@127.0.0.1:{p}/ http://example.org:80@127.0.0.1:{p}/
http://127.0.0.1:{p}#@example.org/ http://127.0.0.1:{p}\\@example.org/ http://example.org\\@127.0.0.1:{p}/
http:\\\\127.0.0.1:{p}/ http:///127.0.0.1:{p}/ http:127.0.0.1:{p}/ //127.0.0.1:{p}/ http://127.0.0.1:0/ http://127.0.0.1:65536/
http://127.0.0.1:-1/ http://127.0.0.1:{p}:80/ ftp://127.0.0.1:{p}/ gopher://127.0.0.1:{p}/_ file://127.0.0.1/etc/hosts
file:///etc/hosts
dict://127.0.0.1:{p}/ unix:///run/x.sock https://127.0.0.1:{p}/ HTTP://127.0.0.1:{p}/ javascript:alert(1)
"""
PUBLIC = "93.184.215.14"
# What the names of a hostile zone answer, one list a question.
NAMES = {
    "loopback.test": [["127.0.0.1"]],
    "six.test": [["::1"]],
    "mapped.test": [["::ffff:127.0.0.1"]],
    "nat64.test": [["64:ff9b::7f00:1"]],
    "unspecified.test": [["0.0.0.0"]],
    "metadata.test": [["169.254.169.254"]],
    "zone.test": [["fe80::1%lo"]],
    "mixed.test": [[PUBLIC, "127.0.0.1"]],
    "mixed-first.test": [["127.0.0.1", PUBLIC]],
    "mixed-families.test": [[PUBLIC, "::1"]],
    "alias-of-an-alias.test": [["127.0.0.1"]],  # whatever CNAMEs stand between: what counts is where they end
}


@dataclass(slots=True)
class Watch:
    """The canaries of both families, and every address that anything tried to connect to."""

    canaries: list[Website]
    attempts: list[tuple[str, int]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.canaries[0].port

    def seen(self) -> list[int]:
        return [canary.connections for canary in self.canaries]

    def forms(self) -> list[str]:
        return [form.format(p=self.port) for form in FORMS.split()]


@asynccontextmanager
async def watching(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watch]:
    """Yield canaries on loopback, and note what sockets are opened; none goes outside of this machine."""
    async with website({"/": answer("sensitive")}) as four:
        six = Website(host="::1", port=four.port, pages=four.pages)
        server = await asyncio.start_server(six.serve, "::1", four.port)
        watch = Watch([four, six])
        connect = httpcore.AnyIOBackend.connect_tcp

        async def noted(self: object, host: str, port: int, **more: object) -> object:
            watch.attempts.append((host, port))
            if host == PUBLIC:
                raise httpcore.ConnectError("nothing outside of this machine is asked by a test")
            return await connect(self, host, port, **more)

        monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", noted)
        yield watch
        server.close()
        await server.wait_closed()

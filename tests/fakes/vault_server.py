"""A fake of HashiCorp Vault: what its documentation says of KV version 2, AppRole, tokens and seals, and no more.

Each request and each answer is held against the shapes that HashiCorp publishes (`vault_shapes`): what does not fit is
refused, so that a client cannot get used to kindness, and fails the test that it happens in. It is a fake all the same:
`make test-vault` runs the same tests against a real server.
"""

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

from tests.fakes.vault_shapes import answer_faults, request_faults

ROLE_ID, SECRET_ID, ROOT_TOKEN = "role-of-codexos", "secret-of-codexos", "hvs.root"
POD_ROLE, POD_TOKEN = "pod-of-codexos", "eyJhbGciOiJSUzI1NiJ9.pod.signature"
TRANSIT_KEY = "key-of-codexos"
MOUNT = "secret"
_CREATED = "2026-11-23T00:00:00Z"
_MOST_SECONDS = 60.0


class Refused(Exception):
    def __init__(self, status: int, *errors: str) -> None:
        self.status, self.errors = status, errors


@dataclass
class Versions:
    """One path: its versions, None where one was destroyed."""

    most: int = 10
    kept: dict[int, dict[str, Any] | None] = field(default_factory=dict)


@dataclass
class FakeVault:
    """What the server knows; tests change it while it runs."""

    url: str = ""
    sealed: bool = False
    delay_seconds: float = 0.0
    # While it is there each request waits for a pass, and `waiting` says that one does.
    passes: threading.Semaphore | None = None
    waiting: threading.Event = field(default_factory=threading.Event)
    lease_seconds: int = 3600
    secrets: dict[str, Versions] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=lambda: {ROOT_TOKEN: float("inf")})
    sealed_values: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    # What did not fit the published shapes; serving() fails when there is any.
    faults: list[str] = field(default_factory=list)
    connections: int = 0
    open: set[socket.socket] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def revoke_tokens(self) -> None:
        self.tokens = {ROOT_TOKEN: float("inf")}

    def answer(self, method: str, path: str, query: Mapping[str, list[str]], token: str | None, body: Any) -> Any:
        self.asked.append(f"{method} {path}")
        if (method, path) == ("GET", "sys/seal-status"):
            return {"type": "shamir", "initialized": True, "sealed": self.sealed, "t": 1, "n": 1, "progress": 0}
        if self.sealed:
            raise Refused(503, "Vault is sealed")
        if (method, path) == ("POST", "auth/approle/login"):
            return self._log_in(body or {}, {"role_id": ROLE_ID, "secret_id": SECRET_ID})
        if (method, path) == ("POST", "auth/kubernetes/login"):
            return self._log_in(body or {}, {"role": POD_ROLE, "jwt": POD_TOKEN})
        if token is None or self.tokens.get(token, 0.0) < time.monotonic():
            raise Refused(403, "permission denied")
        if (method, path) == ("GET", "auth/token/lookup-self"):
            left = self.tokens[token] - time.monotonic()
            endless = left == float("inf")
            return {"data": {"ttl": 0 if endless else int(left), "renewable": not endless, "id": token}}
        if (method, path) == ("POST", "auth/token/renew-self"):
            self.tokens[token] = time.monotonic() + self.lease_seconds
            return self._auth(token)
        if method == "POST" and path in (f"transit/encrypt/{TRANSIT_KEY}", f"transit/decrypt/{TRANSIT_KEY}"):
            kind = path.split("/")[1]
            return getattr(self, f"_{kind}")(body or {})
        mount, _, rest = path.partition("/")
        kind, _, name = rest.partition("/")
        if mount != MOUNT or not name or "//" in name:
            raise Refused(404)
        return self._engine(method, kind, name, query, body)

    def _log_in(self, body: Mapping[str, Any], known: Mapping[str, str]) -> Any:
        if body != known:
            raise Refused(400, "invalid role or secret ID")
        token = f"hvs.{uuid4().hex}"
        self.tokens[token] = time.monotonic() + self.lease_seconds
        return self._auth(token)

    def _auth(self, token: str) -> Any:
        return {"auth": {"client_token": token, "lease_duration": self.lease_seconds, "renewable": True}}

    def _encrypt(self, body: Mapping[str, Any]) -> Any:
        base64.b64decode(body["plaintext"], validate=True)
        name = f"vault:v1:{base64.b64encode(uuid4().bytes).decode()}"
        self.sealed_values[name] = (body["plaintext"], body.get("associated_data"))
        return {"data": {"ciphertext": name, "key_version": 1}}

    def _decrypt(self, body: Mapping[str, Any]) -> Any:
        found = self.sealed_values.get(body["ciphertext"])
        if found is None or found[1] != body.get("associated_data"):
            raise Refused(400, "invalid ciphertext: unable to decrypt")
        return {"data": {"plaintext": found[0]}}

    def _engine(self, method: str, kind: str, name: str, query: Mapping[str, list[str]], body: Any) -> Any:
        if (method, kind) == ("POST", "data"):
            return self._write(name, body or {})
        if (method, kind) == ("GET", "data"):
            return self._read(name, int(query.get("version", ["0"])[0]))
        if (method, kind) == ("POST", "metadata"):
            self.secrets.setdefault(name, Versions()).most = (body or {}).get("max_versions") or 10
            return None
        if (method, kind) == ("GET", "metadata"):
            return self._described(name)
        if (method, kind) == ("DELETE", "metadata"):
            self.secrets.pop(name, None)
            return None
        if (method, kind) in (("POST", "destroy"), ("PUT", "destroy")):
            if not body or not body.get("versions"):
                raise Refused(400, "no version number provided")
            for number in body["versions"]:
                if name in self.secrets and int(number) in self.secrets[name].kept:
                    self.secrets[name].kept[int(number)] = None
            return None
        if (method, kind) == ("LIST", "metadata"):
            return self._list(name if name.endswith("/") else f"{name}/")
        raise Refused(405, f"unsupported operation {method} {kind}")

    def _write(self, name: str, body: Mapping[str, Any]) -> Any:
        if "data" not in body:
            raise Refused(400, "no data provided")
        kept = self.secrets.setdefault(name, Versions())
        number = max(kept.kept, default=0) + 1
        kept.kept[number] = body["data"]
        for old in sorted(kept.kept)[: -kept.most]:
            del kept.kept[old]
        return {"data": self._metadata(number)}

    def _read(self, name: str, number: int) -> Any:
        kept = self.secrets.get(name, Versions()).kept
        number = number or max(kept, default=0)
        if number not in kept:
            raise Refused(404)
        found = kept[number]
        answer = {"data": {"data": found, "metadata": {**self._metadata(number), "destroyed": found is None}}}
        if found is None:
            raise Refused(404, json.dumps(answer))
        return answer

    def _described(self, name: str) -> Any:
        if name not in self.secrets:
            raise Refused(404)
        versions = {
            str(number): {"created_time": _CREATED, "deletion_time": "", "destroyed": kept is None}
            for number, kept in self.secrets[name].kept.items()
        }
        newest = max(self.secrets[name].kept, default=0)
        return {"data": {"current_version": newest, "max_versions": self.secrets[name].most, "versions": versions}}

    def _list(self, folder: str) -> Any:
        below = [name[len(folder) :] for name in self.secrets if name.startswith(folder)]
        keys = sorted({rest.partition("/")[0] + ("/" if "/" in rest else "") for rest in below})
        if not keys:
            raise Refused(404)
        return {"data": {"keys": keys}}

    def _metadata(self, number: int) -> dict[str, Any]:
        return {
            "version": number,
            "created_time": _CREATED,
            "deletion_time": "",
            "destroyed": False,
            "custom_metadata": None,
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    vault: FakeVault

    def setup(self) -> None:
        super().setup()
        self.vault.connections += 1
        self.vault.open.add(self.connection)

    def finish(self) -> None:
        self.vault.open.discard(self.connection)
        super().finish()

    def _handle(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        time.sleep(self.vault.delay_seconds)
        if (passes := self.vault.passes) is not None:
            self.vault.waiting.set()
            passes.acquire(timeout=_MOST_SECONDS)
        split = urlsplit(self.path)
        path = unquote(split.path[4:])
        try:
            if not split.path.startswith("/v1/") or self.headers.get("x-vault-request") != "true":
                raise Refused(400, "missing X-Vault-Request, or no path of the API")
            body = json.loads(raw) if raw else None
            with self.vault.lock:
                token, query = self.headers.get("x-vault-token"), parse_qs(split.query)
                if faults := request_faults(self.command, path, query, body):
                    self.vault.faults += faults
                    raise Refused(400, *faults)
                answer = self.vault.answer(self.command, path, query, token, body)
            status = 204 if answer is None else 200
        except Refused as refused:
            status, answer = refused.status, {"errors": list(refused.errors)}
        self.vault.faults += answer_faults(self.command, path, status, answer)
        self._send(status, answer)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def _send(self, status: int, answer: Any) -> None:
        sent = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        if sent:
            self.send_header("content-type", "application/json")
        if status != 204:
            self.send_header("content-length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(vault: FakeVault, port: int = 0) -> Iterator[FakeVault]:
    """Serve over loopback until the end of the block; `vault.url` says where.

    Raises AssertionError at the end if a request or an answer did not fit the published shapes.
    """
    handler = type("Handler", (_Handler,), {"vault": vault})
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        server.daemon_threads = True
        vault.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield vault
        finally:
            server.shutdown()
            thread.join()
            for connection in list(vault.open):  # as a process that ends does
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
    assert vault.faults == [], "what was asked or answered is not what HashiCorp publishes"

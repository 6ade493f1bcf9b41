"""Look whether the ports are free before anything is started on them."""

import errno
import socket

from core.settings import Settings
from server.cli.parts import DAGSTER_HOST
from server.cli.refusal import Refusal


def check(settings: Settings) -> None:
    """Raise Refusal, naming the variable to change, unless every port can be listened on."""
    addresses = {
        "CODEXOS_HTTP_PORT": (settings.http_host, settings.http_port),
        "CODEXOS_DAGSTER_PORT": (DAGSTER_HOST, settings.dagster_port),
    }
    if settings.http_port == settings.dagster_port:
        raise Refusal(f"{' and '.join(addresses)} are both {settings.http_port}; set one of them to another port.")
    for variable, (host, port) in addresses.items():
        if fault := _fault(host, port):
            raise Refusal(f"port {port} {fault}; set {variable} to another port.")


def _fault(host: str, port: int) -> str | None:
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:
        raise Refusal(f"CODEXOS_HTTP_HOST is {host!r}, which is no address of this machine.") from None
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "is in use by another program"
            return f"cannot be listened on ({error.strerror})"
    return None

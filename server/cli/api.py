"""`python -m server api`: the API's processes."""

from core import log
from core.settings import Settings
from server.app.processes import serve
from server.cli import root_key
from server.cli.refusal import Refusal


def main(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    log.configure(level=settings.log_level)
    root_key.check(settings)
    try:
        serve(settings)
    except OSError as error:
        raise Refusal(f"port {settings.http_port}: {error.strerror}; set CODEXOS_HTTP_PORT to another port.") from error

"""`python -m server api`: the API's processes."""

from sanic.worker.manager import WorkerManager

from core import log
from core.settings import Settings
from server.cli.refusal import Refusal

# In tenths of a second: on a busy machine the workers' imports alone may take longer than Sanic's half minute.
_STARTING_TENTHS = 1800


def main(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    from server.app import serve

    log.configure(level=settings.log_level)
    WorkerManager.THRESHOLD = _STARTING_TENTHS
    try:
        serve(settings)
    except OSError as error:
        raise Refusal(f"port {settings.http_port}: {error.strerror}; set CODEXOS_HTTP_PORT to another port.") from error

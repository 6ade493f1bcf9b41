"""An API process whose log-in fails with an error that repeats all that it was given.

`python -m tests.fakes.careless_api unredacted` leaves in its log what looks like a credential.
"""

import sys
from typing import Any

from core import log
from core.settings import Settings
from server.app.application import create_app
from server.auth.sessions.service import Sessions


async def _fail(_sessions: Sessions, *given: Any, **_named: Any) -> Any:
    raise RuntimeError(f"could not carry out {given!r}")


def main() -> None:
    Sessions.log_in = _fail  # type: ignore[method-assign]
    if "unredacted" in sys.argv:
        log.redact_event = lambda _logger, _method, event: event
    create_app(settings := Settings()).run(host="127.0.0.1", port=settings.http_port, single_process=True)


if __name__ == "__main__":
    main()

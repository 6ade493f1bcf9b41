"""An agents' worker in which a request to `/breaks` ends in an error that repeats all that it was given.

`python -m tests.fakes.careless_agents unredacted` leaves in its log what looks like a secret.
"""

import sys
from typing import Any

from core.settings import Settings
from server.agents.worker.journal import SqlJournal
from server.cli import agents
from stores.egress import Egress

_fetch = Egress.fetch


async def _fail(egress: Egress, url: str, **given: Any) -> Any:
    if url.endswith("/breaks"):
        sent = dict(given["headers"])
        raise RuntimeError(f"could not send {sent!r}, that is {' '.join(sent.values())}")
    return await _fetch(egress, url, **given)


def main() -> None:
    Egress.fetch = _fail  # type: ignore[method-assign]
    if "unredacted" in sys.argv:
        SqlJournal.concealed = lambda _journal, text: text  # type: ignore[method-assign]
    agents.main(Settings())


if __name__ == "__main__":
    main()

"""A worker of either lane as it is started by an operator or the daemon, but that it parses in process, not in a jail.

`python -m tests.fakes.quick_worker stream|batch`
"""

import sys

import pipelines.assembly
import pipelines.parsing.read
import server.cli.worker  # noqa: F401  # as is the reader: for whoever forks this
from pipelines.parsing.in_process import InProcessParser
from server.cli.main import main as serve
from tests.fakes import batch_lane


def main() -> None:
    pipelines.assembly.JailedParser = lambda **_: InProcessParser()  # type: ignore[misc, assignment]
    if sys.argv[1] == "batch":
        batch_lane.main()
    else:
        serve(["worker"])


if __name__ == "__main__":
    main()

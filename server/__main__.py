"""`python -m server <command>`: where every process of the platform begins."""

import sys

from server.cli.main import main

# Sanic's worker processes are spawned, and a spawned process imports this file again.
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

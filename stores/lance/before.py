"""What has to be so before LanceDB is first imported. Importing this module makes it so."""

import os
import sys
from importlib.util import find_spec, module_from_spec

# Its warnings are about its own workings (an empty partition, a lost race that is tried again) and would be a line per
# search on stderr.
os.environ.setdefault("LANCE_LOG", "error")


def _leave_out(package: str) -> None:
    """Let the package's modules be imported without what its own first file brings along."""
    found = find_spec(package) if package not in sys.modules else None
    if found is not None:
        sys.modules[package] = module_from_spec(found)


# LanceDB takes some models from a client of catalogue services, which nobody here calls. Building that client would be
# more than a quarter of what the start of every process costs.
_leave_out("lance_namespace_urllib3_client")

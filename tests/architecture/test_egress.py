"""What the contract "egress" cannot say: the standard library's own ways of opening a connection."""

from tests.architecture.tree import ROOT, modules

# What these name opens a connection by itself. The contract in pyproject.toml holds the libraries.
WAYS_OUT = ("urllib.request", "http.client", "create_connection(", "open_connection(", "sock_connect(", "telnetlib")
# The parent of the parsing jail wraps its end of a socket pair.
LEAD_NOWHERE = {"pipelines/parsing/zygote.py"}


def test_nobody_else_opens_a_connection() -> None:
    """Whoever wants to reach out calls stores.egress, which checks where to."""
    offenders = {
        f"{path}: {way}"
        for module in modules("core", "stores", "pipelines", "vault", "assets", "server")
        if not (path := str(module.relative_to(ROOT))).startswith("stores/egress/") and path not in LEAD_NOWHERE
        for way in WAYS_OUT
        if way in module.read_text("utf-8")
    }
    assert offenders == set()

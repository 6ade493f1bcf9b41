"""What is entered into the audit log is listed where its readers look."""

import re

from tests.architecture.tree import ROOT, modules

# As they stand in calls of AuditLog.append, AccountLog.append and the rooms' own `_log`.
_ACTION = re.compile(r'(?:action=|_?log\([^)"]*)"([a-z_]+\.[a-z_]+)"')


def test_every_action_is_in_the_guide() -> None:
    """Whoever enters a new one tells what it means."""
    guide = (ROOT / "docs/audit.md").read_text("utf-8")
    told = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", guide))
    entered = {
        action
        for module in modules("server", "stores", "vault", "pipelines", "assets")
        for action in _ACTION.findall(module.read_text("utf-8"))
    }
    assert {"session.started", "session.ended", "password.changed", "user.registered", "totp.enabled"} <= entered
    assert sorted(entered - told) == []

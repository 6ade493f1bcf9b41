"""Files stay short enough to read at once, and are named for what they hold."""

from tests.architecture.tree import ROOT, modules, packages

LONGEST_FILE = 400
# Names that say nothing attract everything.
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "data", "info"}


def test_no_file_is_longer_than_one_can_read() -> None:
    """Past 400 lines a file holds two nouns or two verbs: split it there."""
    long_files = {
        f"{module.relative_to(ROOT)}: {lines} lines"
        for module in modules(*packages(), "tests")
        if (lines := len(module.read_text("utf-8").splitlines())) > LONGEST_FILE
    }
    assert long_files == set()


def test_no_module_has_a_name_that_says_nothing() -> None:
    """A module or a folder is named for its noun or its verb."""
    nameless = {
        str(module.relative_to(ROOT))
        for module in modules(*packages(), "tests")
        if BANNED_NAMES & {module.stem, *module.relative_to(ROOT).parent.parts}
    }
    assert nameless == set()


def test_every_module_says_what_it_promises() -> None:
    """A module opens with a sentence; only an empty package marker may be silent."""
    silent = {
        str(module.relative_to(ROOT))
        for module in modules(*packages())
        if "migrations/versions" not in module.as_posix()
        and (text := module.read_text("utf-8").strip())
        and not text.startswith(('"""', 'r"""'))
    }
    assert silent == set()

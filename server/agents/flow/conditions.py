"""Conditions: one CEL expression that says yes or no about what has happened so far, and cannot run away."""

import re
from collections.abc import Mapping
from functools import lru_cache

import cel

from core.errors import CodexError
from server.agents.flow.definition import Json

MOST_CHARACTERS = 2000
# The parser descends for each, and none of ours need more.
_DEEPEST = 40
# all(), map() and their kin go over a list: each is allowed beside another, none inside of another.
_MACRO = re.compile(r"\.\s*(all|exists|exists_one|map|filter)\s*\(")
_STRING = re.compile(
    r"""[rRbB]{0,2}(\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""",
    re.DOTALL,
)
# For a macro that looks at more than its item, or makes a list of what it sees: items of the longest list times the
# size of all that it may see, and for a list times what its body may say of each item.
_MOST_WORK = 50_000_000
# The library copies the list it is making once for each item it adds: 0.1 s for a thousand, 10 s for ten thousand.
_MAKES_LIST = re.compile(r"\.\s*(map|filter)\s*\(")
_MOST_ITEMS_COPIED = 1000
ROOTS = frozenset({"input", "context", "nodes", "output", "item", "index"})
_ROOT = re.compile(rf"(?<![.\w])({'|'.join(sorted(ROOTS))})\b")
# A node by its id, or a text, in which ids are no ids.
_NODE = re.compile(
    rf"""(?<![.\w])nodes\s*(?:\.\s*(\w+)|\[\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*\])|{_STRING.pattern}""", re.DOTALL
)


class ConditionFailed(CodexError):
    """A condition is none, or came to neither true nor false."""

    code = "CONDITION_FAILED"


class Condition:
    """A compiled condition. `roots` are the names it begins from, `nodes` the nodes whose output it speaks of."""

    __slots__ = ("_looks_around", "_makes_list", "_parts", "_program", "nodes", "roots")

    def __init__(self, text: str) -> None:
        fault = _refused(text)
        if fault is not None:
            raise ConditionFailed(fault)
        program = _compiled(text)
        bare = _without_strings(text)
        bodies = _macro_bodies(bare)
        # What a macro calls an item of its list is no name of the scope's.
        self.roots = frozenset(program.variables()) - {body.split(",", 1)[0].strip() for body in bodies}
        named = (each.group(1) or each.group(2) or each.group(3) for each in _NODE.finditer(text))
        self.nodes = frozenset(name for name in named if name) if "nodes" in self.roots else frozenset()
        # A body that looks at more than its item may go over everything for each item.
        self._looks_around = any(_ROOT.search(body) for body in bodies)
        self._makes_list = _MAKES_LIST.search(bare) is not None
        self._parts = 1 + sum(body.count(",") + body.count("+") for body in bodies)
        # What comes to a list of lists is told to be no boolean before it is copied.
        self._program = _compiled(f"({text}\n) ? true : false")

    def holds(self, scope: Mapping[str, Json]) -> bool:
        """Whether it is true. Raises ConditionFailed, which says why it is neither true nor false."""
        seen = {name: scope[name] for name in self.roots if name in scope}
        self._refuse_large(seen)
        try:
            return bool(self._program.execute(seen))
        except Exception as error:
            raise ConditionFailed(_sentence(error)) from None
        except BaseException as error:
            # A panic of the library's is no Exception. Stopping and cancelling are not ours to swallow.
            if type(error).__name__ != "PanicException":
                raise
            raise ConditionFailed("The condition cannot be worked out.") from None

    def _refuse_large(self, seen: Mapping[str, Json]) -> None:
        if not (self._looks_around or self._makes_list):
            return
        longest = _longest_list(seen)
        if self._makes_list and longest > _MOST_ITEMS_COPIED:
            raise ConditionFailed(
                f"map() and filter() go over up to {_MOST_ITEMS_COPIED} items in a condition, and one that it sees is "
                "longer; ask with exists() or all()."
            )
        if longest * _size(seen) * (self._parts if self._makes_list else 1) > _MOST_WORK:
            raise ConditionFailed("A condition goes over a list that is too large for it; decide in a map instead.")


@lru_cache(maxsize=4096)
def compiled(text: str) -> Condition:
    """Return the condition. Raises ConditionFailed with a sentence for its author."""
    return Condition(text)


def holds(text: str, scope: Mapping[str, Json]) -> bool:
    """Whether `text` is true of `scope`. Raises ConditionFailed."""
    return compiled(text).holds(scope)


def fault(text: str) -> str | None:
    """Return what is wrong with a condition in one sentence, or None."""
    try:
        unknown = sorted(compiled(text).roots - ROOTS)
    except ConditionFailed as error:
        return error.message
    if unknown:
        return f"The condition speaks of {unknown[0]!r}; it can see {', '.join(sorted(ROOTS))}."
    return None


def _compiled(text: str) -> "cel.Program":
    try:
        return cel.compile(text)
    except Exception as error:
        raise ConditionFailed(f"This is no CEL expression: {_first_line(error)}") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ConditionFailed("This is no CEL expression.") from None


def _refused(text: str) -> str | None:
    if len(text) > MOST_CHARACTERS:
        return f"A condition has up to {MOST_CHARACTERS} characters."
    if not text.strip():
        return "A condition needs an expression; leave it out for an edge that is always taken."
    bare = _without_strings(text)
    if _depth(bare) > _DEEPEST:
        return f"A condition is nested up to {_DEEPEST} deep."
    if any(_MACRO.search(body) for body in _macro_bodies(bare)):
        return "all(), exists(), map() and filter() cannot stand inside of one another here."
    return None


def _depth(bare: str) -> int:
    depth = deepest = 0
    for character in bare:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _macro_bodies(bare: str) -> list[str]:
    """Return what stands in the brackets of each macro, its variable included."""
    bodies = []
    for found in _MACRO.finditer(bare):
        depth, end = 1, found.end()
        while end < len(bare) and depth:
            depth += (bare[end] in "([{") - (bare[end] in ")]}")
            end += 1
        bodies.append(bare[found.end() : end])
    return bodies


def _without_strings(text: str) -> str:
    return _STRING.sub("''", text)


def _size(value: object) -> int:
    if isinstance(value, str):
        return 1 + len(value)
    if isinstance(value, Mapping):
        return 1 + sum(len(name) + _size(each) for name, each in value.items())
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1


def _longest_list(value: object) -> int:
    if isinstance(value, Mapping):
        return max([len(value), *map(_longest_list, value.values())])
    if isinstance(value, list):
        return max([len(value), *map(_longest_list, value)])
    return 1


def _sentence(error: Exception) -> str:
    if isinstance(error, KeyError):
        name = error.args[0] if error.args else "something"
        return f"The condition speaks of {name}, which is not there; ask has() first."
    if isinstance(error, IndexError):
        return "The condition asks for an item that the list does not have; ask size() first."
    if isinstance(error, TypeError):
        return "The condition puts together what does not go together, or comes to neither true nor false."
    return f"The condition cannot be worked out: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    # The library tells the whole expression again, and values of the scope nowhere.
    told = str(error).split("\n", 1)[0]
    found = re.search(r"ERROR: <input>:\d+:(\d+): (.*)", told)
    return f"{found.group(2)[:200]} (column {found.group(1)})." if found else f"{told[:200].rstrip('.')}."

"""`owner/repo[@ref][:path]`: read by us, part by part, and never handed to a program as an argument."""

import re
from dataclasses import dataclass
from typing import Self

from core.errors import SourceNotFound

# Neither part can be an option or lead out of its folder: both begin with a letter or digit, and no `..` is in them.
REPOSITORY_PATTERN = (
    r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
    r"(?:@[A-Za-z0-9_][A-Za-z0-9_./-]{0,199})?(?::[A-Za-z0-9_.][A-Za-z0-9_. /-]{0,499})?$"
)
_PARTS = re.compile(r"(?P<owner>[^/@:]+)/(?P<name>[^/@:]+)(?:@(?P<ref>[^:]+))?(?::(?P<path>.+))?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryAddress:
    owner: str
    name: str
    ref: str | None = None
    """A branch, a tag or a commit; None is what the repository shows first."""
    path: str = ""
    """A folder or a file; empty is everything."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Raises SourceNotFound with what is wrong."""
        found = _PARTS.fullmatch(text) if re.fullmatch(REPOSITORY_PATTERN.removesuffix("$"), text) else None
        if found is None or ".." in text:
            raise SourceNotFound("Write the repository as owner/name, owner/name@branch or owner/name@branch:folder.")
        path = (found["path"] or "").strip("/")
        return cls(owner=found["owner"], name=found["name"].removesuffix(".git"), ref=found["ref"], path=path)

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    def holds(self, path: str) -> bool:
        """Return whether a file of the repository is in what this names."""
        return not self.path or path == self.path or path.startswith(f"{self.path}/")

"""What a site's robots.txt permits us, read as RFC 9309 says."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from pipelines.sources.web import failed
from stores.egress import Egress, EgressFailed, Limits

AGENT = "codexos"
# Section 2.5: at least 500 KiB are read, and more is not needed.
_LIMITS = Limits(seconds=30, max_bytes=512 * 1024)
_LONGEST_RULE = 1_000
_EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class _Rule:
    path: str
    allows: bool

    def matches(self, path: str) -> bool:
        """Compare piece by piece, which takes no longer for a rule of a thousand asterisks."""
        anchored = self.path.endswith("$")
        first, *rest = self.path.removesuffix("$").split("*")
        if not path.startswith(first):
            return False
        at = len(first)
        for piece in rest:
            found = path.find(piece, at)
            if found < 0:
                return False
            at = found + len(piece)
        # Anchored, the last piece has to be the end: a later place of it counts as well.
        return not anchored or at == len(path) or (bool(rest) and path.endswith(rest[-1]) and len(path) >= at)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one agent."""

    rules: tuple[_Rule, ...]

    def permit(self, url: str) -> bool:
        """Section 2.2.2: the longest rule that matches decides, and of two alike the one that allows."""
        parts = urlsplit(url)
        path = _spelled((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        matching = [rule for rule in self.rules if rule.matches(path)]
        return not matching or max(matching, key=lambda rule: (len(rule.path), rule.allows)).allows


def read(text: str, agent: str = AGENT) -> Rules:
    """Return what a robots.txt says to `agent`, else to everybody."""
    groups: dict[str, list[_Rule]] = {}
    named: list[str] = []
    in_rules = False
    for line in re.split(r"\r\n|\r|\n", text.lstrip("\ufeff")):
        key, colon, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon or len(value) > _LONGEST_RULE:
            continue
        if key == "user-agent":
            named = [value.lower()] if in_rules else [*named, value.lower()]
            in_rules = False
            groups.setdefault(value.lower(), [])
        elif key in ("allow", "disallow"):
            in_rules = True
            if value:  # an empty rule matches nothing
                for name in named:
                    groups[name].append(_Rule(_spelled(value), key == "allow"))
    return Rules(tuple(groups.get(agent, groups.get(_EVERYBODY, []))))


def _spelled(path: str) -> str:
    """Return `path` with every character escaped that may be, so that both sides are spelt alike."""
    return quote(unquote(path, errors="surrogateescape"), safe="/?&=*$:@!,;'()+~%", errors="surrogateescape")


class Robots:
    """Asks each site once. One for the length of a crawl."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._sites: dict[str, Rules] = {}

    async def permit(self, url: str) -> bool:
        """Return whether we may fetch `url`. Raises IngestFailed when the site cannot be asked."""
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        if site not in self._sites:
            self._sites[site] = await self._rules(site)
        return self._sites[site].permit(url)

    async def _rules(self, site: str) -> Rules:
        try:
            got = await self._egress.fetch(f"{site}/robots.txt", limits=_LIMITS)
        except EgressFailed as failure:
            raise failed(failure) from failure
        if 200 <= got.status < 300:
            return read(got.content.decode("utf-8", "replace"))
        # Section 2.3.1: without such a file everything may be fetched; a site in trouble is left alone.
        return Rules((_Rule("/", allows=got.status < 500),))

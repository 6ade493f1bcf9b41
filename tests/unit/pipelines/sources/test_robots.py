"""What a robots.txt permits, by the examples and rules of RFC 9309."""

import time

import pytest

from pipelines.sources.robots import read

ROBOTS = """
User-agent: other
Disallow: /

User-Agent: *
Disallow: /private  # not for robots
Disallow: /*.pdf$
Disallow: /search?q=
Allow: /private/open
Disallow: /ünïcode
Disallow:
"""


@pytest.mark.parametrize(
    ("path", "permitted"),
    [
        ("", True),
        ("/", True),
        ("/private", False),
        ("/privateer", False),
        ("/private/x", False),
        ("/private/open/x", True),
        ("/a/b.pdf", False),
        ("/a/b.pdf?x=1", True),
        ("/a.pdf/b.pdf", False),
        ("/search?q=cranes", False),
        ("/search", True),
        ("/%C3%BCn%C3%AFcode/x", False),
        ("/ünïcode/x", False),
    ],
)
def test_the_longest_rule_that_matches_decides(path: str, permitted: bool) -> None:
    """Prefixes, asterisks, an end, and both ways to spell a character."""
    assert read(ROBOTS).permit(f"https://example.org{path}") is permitted


def test_rules_for_us_replace_those_for_everybody() -> None:
    """A group that names us is all that counts; several agents may share one."""
    rules = read("User-agent: *\nDisallow: /\n\nUser-agent: a\nUser-agent: CodexOS\nDisallow: /x\n")
    assert rules.permit("https://h/y")
    assert not rules.permit("https://h/x")
    assert not read("User-agent: *\nDisallow: /").permit("https://h/")


def test_of_two_rules_alike_the_one_that_allows_counts() -> None:
    """Section 2.2.2 prefers the least restrictive."""
    assert read("User-agent: *\nDisallow: /a\nAllow: /a\n").permit("https://h/a")


def test_rubbish_permits_everything_and_takes_no_time() -> None:
    """What is no rule says nothing; a rule made of asterisks cannot keep us busy."""
    assert read("<html>not found</html>\nDisallow: /before any agent").permit("https://h/before")
    rules = read("User-agent: *\n" + "Disallow: /" + "*a" * 400 + "$\n")
    began = time.monotonic()
    rules.permit("https://h/" + "a" * 5_000 + "b")
    assert time.monotonic() - began < 0.5

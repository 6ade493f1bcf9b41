"""Texts, tables and Markdown that are long, deep or odd."""

from tests.factories.torture.case import EMPTY, LARGE, LATE, READ, UNKNOWN, Case, simple

_MEBIBYTE = 1024 * 1024


def _backticks(length: int) -> bytes:
    """Return runs of backticks, none as long as another: each is looked for to the end of the text."""
    runs, total = [], 0
    while total < length:
        runs.append("`" * (len(runs) + 1) + "a")
        total += len(runs[-1])
    return "".join(runs).encode()


CASES: dict[str, Case] = {
    "Markdown of backticks": Case(takes_seconds=True, name="a.md", make=lambda _: _backticks(4 * _MEBIBYTE)),
    "Markdown of opened brackets": Case(name="a.md", make=lambda _: b"[" * 100_000),
    "Markdown of opened pictures": Case(name="a.md", make=lambda _: b"![" * 50_000),
    "Markdown of opened links": Case(name="a.md", make=lambda _: b"[a](" * 50_000),
    "Markdown of links in links": Case(name="a.md", make=lambda _: b"[" * 3_000 + b"a" + b"](b)" * 3_000),
    "Markdown of opened emphasis": Case(name="a.md", make=lambda _: b"*a **b _c __d " * 20_000),
    "Markdown of stars": Case(name="a.md", make=lambda _: b"*" * 200_000 + b"a"),
    "Markdown of opened tags": Case(name="a.md", make=lambda _: b"<a " * 100_000),
    "Markdown of opened angles": Case(name="a.md", make=lambda _: b"<" * 200_000),
    "Markdown of opened comments": Case(name="a.md", make=lambda _: b"<!-- " * 100_000),
    "Markdown of processing instructions": Case(name="a.md", make=lambda _: b"<?a " * 50_000),
    "Markdown of nested quotes": Case(name="a.md", make=lambda _: b">" * 20_000 + b" The sundial"),
    "Markdown of nested lists": Case(
        name="a.md", make=lambda _: b"".join(b" " * (4 * depth) + b"- deep\n" for depth in range(1_500))
    ),
    "Markdown of brackets on many lines": Case(name="a.md", make=lambda _: (b"[" * 79 + b"\n") * 2_000),
    "Markdown of brackets in many paragraphs": Case(
        name="a.md", make=lambda _: (b"[" * 99 + b"a\n\n") * 2_000, takes_seconds=True
    ),
    "Markdown of references": Case(
        takes_seconds=True,
        name="a.md",
        make=lambda _: b"".join(b"[%d]: /%d\n" % (n, n) for n in range(60_000)) + b"[1][" * 20_000,
    ),
    "Markdown of fences": Case(takes_seconds=True, name="a.md", make=lambda _: b"```\na\n\n" * 50_000),
    "Markdown of rules": Case(name="a.md", make=lambda _: b"- " * 100_000 + b"a"),
    "Markdown of table cells": Case(
        name="a.md", make=lambda _: (b"|a" * 20_000 + b"|\n") * 2 + b"|-" * 20_000 + b"|\n"
    ),
    "Markdown of blank lines": Case(
        name="a.md", make=lambda _: b"The moon\n" + b"\n" * 2_000_000 + b"The sun", says="The sun"
    ),
    "Markdown of entities": Case(name="a.md", make=lambda _: b"&" * 300_000),
    "Markdown of backslashes": Case(name="a.md", make=lambda _: b"\\" * 300_000 + b"a"),
    "Markdown of short paragraphs": Case(
        name="a.md", make=lambda _: b"a b\n\n" * 800_000, ends=(LARGE, LATE), takes_seconds=True
    ),
    "text of one line": Case(takes_seconds=True, name="a.txt", make=lambda _: b"a" * (12 * _MEBIBYTE)),
    "text of short lines": Case(name="a.txt", make=lambda _: b"a\n" * (5 * _MEBIBYTE), takes_seconds=True),
    "text of short paragraphs": Case(name="a.txt", make=lambda _: b"ab cd\n\n" * (2 * _MEBIBYTE), takes_seconds=True),
    "text of long paragraphs": Case(
        name="a.txt",
        make=lambda _: (b"The dome is shut and the sky is grey. " * 100 + b"\n\n") * 3_000,
        takes_seconds=True,
    ),
    "text of bullets": Case(takes_seconds=True, name="a.txt", make=lambda _: "\u2022 a\n".encode() * 100_000),
    "text of numbers": Case(name="a.txt", make=lambda _: (b"1." * 4_900 + b"\n") * 40),
    "text of blanks": Case(name="a.txt", make=lambda _: (b"a" + b" " * 9_000 + b"\n") * 300),
    "text of punctuation": Case(name="a.txt", make=lambda _: (b".,;:!?-" * 1_400 + b"\n\n") * 60),
    "text of addresses": Case(name="a.txt", make=lambda _: (b"a@" * 4_900 + b"\n\n") * 60),
    "text beyond every limit": Case(
        name="a.txt", make=lambda _: b"a b c d e " * (4 * _MEBIBYTE), ends=(LARGE,), takes_seconds=True
    ),
    "text of combining marks": Case(name="a.txt", make=lambda _: ("a" + "\u0301" * 9_000 + "\n\n").encode() * 50),
    "text of marks that turn": Case(name="a.txt", make=lambda _: ("\u202e\u2066a\u202c" * 2_000 + "\n").encode() * 50),
    "text of long ligatures": Case(name="a.txt", make=lambda _: ("\ufdfa" * 3_000 + "\n\n").encode() * 60),
    "text of invisible letters": Case(name="a.txt", make=lambda _: "\u200b".encode() * 500_000, ends=(EMPTY,)),
    "text of no encoding": Case(name="a.txt", make=lambda _: bytes(range(128, 256)) * 16_384),
    "text that declares punycode": Case(
        name="a.txt", make=lambda _: b'<?xml encoding="punycode"?>\n' + b"\xff" + b"abcdefgh-99999999" * 60_000
    ),
    "text in half of UTF-16": Case(
        name="a.txt", make=simple(b"\xff\xfe" + b"\x00\xd8" * 100_000 + b"a"), ends=(READ, EMPTY)
    ),
    "code of one line": Case(name="a.json", make=lambda _: b"[" * (8 * _MEBIBYTE)),
    "code that multiplies": Case(
        name="a.yaml",
        make=simple(
            b"a0: &a0 [lol]\n"
            + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 9))
        ),
        says="*a7",
    ),
    "code of blank lines": Case(name="a.py", make=lambda _: b"a = 1\n \n" * 300_000),
    "csv of one line": Case(name="a.csv", make=lambda _: b"a" * (4 * _MEBIBYTE)),
    "csv of one row": Case(takes_seconds=True, name="a.csv", make=lambda _: b"a," * (2 * _MEBIBYTE)),
    "csv of a quote that never ends": Case(name="a.csv", make=lambda _: b'a,b\n1,"' + b"c,d\n" * _MEBIBYTE),
    "csv of quotes": Case(name="a.csv", make=lambda _: b'"' * (2 * _MEBIBYTE) + b",a"),
    "csv of lone cells": Case(takes_seconds=True, name="a.csv", make=lambda _: b"a,\n,b\n" * 200_000),
    "csv of ragged rows": Case(
        name="a.csv", make=lambda _: b"".join(b"a," * width + b"\n" for width in range(2_000)), takes_seconds=True
    ),
    "csv of formulas": Case(
        name="a.csv", make=lambda bait: f"a,b\n1,\"=WEBSERVICE('{bait.address}')\"\n".encode(), says="WEBSERVICE"
    ),
    "name that climbs": Case(
        name="../../../../../../../../tmp/climbed.txt", make=simple(b"The sundial."), says="sundial"
    ),
    "name without end": Case(name="a/" * 60_000 + "a.txt", make=simple(b"The sundial."), says="sundial"),
    "name of odd letters": Case(name="a\0b\n\u202e\ud800.txt", make=simple(b"The sundial."), says="sundial"),
    "program after a text": Case(
        name="a.txt", make=simple(b"The sundial. " * 400 + b"\x7fELF" + bytes(4_000)), says="sundial"
    ),
    "archive named text": Case(name="a.txt", make=simple(b"\x1f\x8b\x08" + bytes(100)), ends=(UNKNOWN,)),
    "picture that is a text": Case(name="a.txt", make=simple(b"GIF89a = 1; /*" + b"a" * 500 + b"*/"), ends=(UNKNOWN,)),
}

"""Forms are read exactly, or refused with a sentence; never half, and never with an exception of ours."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import ValidationFailed
from server.middleware.multipart import MAX_PARTS, Part, boundary_of, parse

BOUNDARY = b"xyz"


def form(*parts: tuple[str, bytes]) -> bytearray:
    """Return a body of parts, each given as its Content-Disposition parameters and its content."""
    body = bytearray()
    for parameters, content in parts:
        body += b"--xyz\r\nContent-Disposition: form-data; " + parameters.encode() + b"\r\n\r\n" + content + b"\r\n"
    return body + b"--xyz--\r\n"


def test_fields_and_files_are_told_apart_by_their_filename() -> None:
    """A part with a filename is a file, whatever else it says."""
    parts = parse(form(('name="a"', b"1"), ('name="f"; filename="x.txt"', b"\r\n--xy\r\n")), BOUNDARY)
    assert parts == [
        Part(name="a", file_name=None, content=b"1"),
        Part(name="f", file_name="x.txt", content=b"\r\n--xy\r\n"),
    ]


@given(st.lists(st.binary(max_size=200).filter(lambda content: b"\r\n--xyz" not in b"\r\n" + content), max_size=5))
@example([b"", b"\r\n", b"--", b"\r\n\r\n"])
def test_every_byte_of_every_part_comes_through(contents: list[bytes]) -> None:
    """Content is neither trimmed nor decoded."""
    body = form(*((f'name="p{number}"; filename="f"', content) for number, content in enumerate(contents)))
    assert [part.content for part in parse(body, BOUNDARY)] == contents


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    """Whatever is sent, the outcome is a list of parts or a ValidationFailed."""
    with contextlib.suppress(ValidationFailed):
        assert all(isinstance(part, Part) for part in parse(bytearray(b"--xyz\r\n" + noise + b"\r\n--xyz--"), BOUNDARY))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "does not occur"),
        (b"--abc\r\n", "does not occur"),
        (b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n1', "ends in the middle"),
        (b"--xyz\r\n\r\nno headers\r\n--xyz--", "no readable headers"),
        (b"--xyz\r\nContent-Type: text/plain\r\n\r\n1\r\n--xyz--", "no name"),
        (b'--xyz\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n--xyz--', "no name"),
        (b'--xyz\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n1\r\n--xyz--', "not UTF-8"),
        (b"--xyz\r\nX: " + b"y" * 9000 + b"\r\n\r\n1\r\n--xyz--", "no readable headers"),
        (bytes(form(*[('name="a"', b"")] * (MAX_PARTS + 1))), "more than"),
    ],
)
def test_a_malformed_form_gets_a_sentence(body: bytes, says: str) -> None:
    """Each way to be malformed has its own."""
    with pytest.raises(ValidationFailed) as refused:
        parse(bytearray(body), BOUNDARY)
    assert says in refused.value.details["violations"][0]["message"]


@pytest.mark.parametrize(
    ("parameters", "label"),
    [
        ('filename="report.pdf"', "report.pdf"),
        ('filename="docs/agents.md"', "docs/agents.md"),
        ('filename="../../etc/passwd"', "etc/passwd"),
        ('filename="/etc/passwd"', "etc/passwd"),
        ('filename="C:\\\\Users\\\\me\\\\a.txt"', "Users/me/a.txt"),
        ('filename=""', "unnamed"),
        ('filename=".."', "unnamed"),
        ('filename="a\x07b.txt"', "ab.txt"),
        ('filename="say \\"hi\\".txt"', 'say "hi".txt'),
        ("filename*=UTF-8''na%C3%AFve.txt", "naïve.txt"),
        ("filename=\"x.txt\"; filename*=UTF-8'en'%e2%82%ac.txt", "€.txt"),
    ],
)
def test_a_file_name_becomes_a_harmless_label(parameters: str, label: str) -> None:
    """Traversal, drives and control characters are gone; the rest stays readable."""
    [part] = parse(form((f'name="f"; {parameters}', b"1")), BOUNDARY)
    assert part.file_name == label


@pytest.mark.parametrize("header", ["multipart/form-data", "multipart/form-data; boundary=", 'x; boundary="a\\"b€"'])
def test_a_form_needs_a_boundary(header: str) -> None:
    """Without a usable boundary there is nothing to look for."""
    with pytest.raises(ValidationFailed):
        boundary_of(header)


def test_a_boundary_may_be_quoted() -> None:
    """RFC 2046 wants quotes around a boundary with a colon or a space in it."""
    assert boundary_of('multipart/form-data; charset=utf-8; boundary="a b:c"') == b"a b:c"

"""An archive says beforehand what it will become; what says too much is not unpacked."""

import io
import zipfile

import pytest

from core.errors import DocumentEncrypted, DocumentTooLarge, DocumentUnreadable
from pipelines.parsing import limits
from pipelines.parsing.limits import archive_members

MEBIBYTE = 1024 * 1024


def archive(parts: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return target.getvalue()


def test_members_in_order() -> None:
    """A harmless archive gives its names."""
    assert archive_members(archive({"b": b"1", "a/c": b"2"})) == ["b", "a/c"]


def test_dense_archive_is_a_bomb() -> None:
    """Eleven mebibytes of blanks pack to a thousandth, which no document does."""
    with pytest.raises(DocumentTooLarge, match="11 MiB"):
        archive_members(archive({"word/document.xml": b" " * (11 * MEBIBYTE)}))


def test_small_dense_archive_is_harmless() -> None:
    """One mebibyte of blanks hurts nobody, however well it packs."""
    assert archive_members(archive({"xl/sheet.xml": b" " * MEBIBYTE})) == ["xl/sheet.xml"]


def test_too_many_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are counted as well as bytes."""
    monkeypatch.setattr(limits, "MAX_ARCHIVE_MEMBERS", 3)
    with pytest.raises(DocumentTooLarge, match="4 parts"):
        archive_members(archive({str(number): b"x" for number in range(4)}))


def test_encrypted_member() -> None:
    """The flag in the folder is enough; nothing is unpacked."""
    content = bytearray(archive({"word/document.xml": b"x"}))
    folder = content.index(b"PK\x01\x02")
    content[folder + 8] |= 1
    with pytest.raises(DocumentEncrypted):
        archive_members(bytes(content))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"PK\x05\x06" + b"\xff" * 18])
def test_damaged_archive(content: bytes) -> None:
    """Rubbish is unreadable, not a crash."""
    with pytest.raises(DocumentUnreadable):
        archive_members(content)


def test_sentence_names_the_limit_that_was_met() -> None:
    """Too many parts are told from too much in them."""
    with pytest.raises(DocumentTooLarge, match="archive of 10001 parts; 10000 are accepted"):
        archive_members(archive({f"a{number}": b"" for number in range(10_001)}))
    with pytest.raises(DocumentTooLarge, match="11 MiB; of a file of its size 10 MiB are accepted"):
        archive_members(archive({"word/document.xml": b" " * (11 * MEBIBYTE)}))

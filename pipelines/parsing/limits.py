"""How much a file may become. Checked before unpacking where the format says it beforehand."""

import io
import zipfile
import zlib

from core.errors import DocumentEncrypted, DocumentTooLarge, DocumentUnreadable

_MEBIBYTE = 1024 * 1024

# What an archive may hold unpacked; real office files stay below a tenth of it.
MAX_UNPACKED_BYTES = 200 * _MEBIBYTE
MAX_ARCHIVE_MEMBERS = 10_000
# Text compresses to about a tenth and repeated XML to about a hundredth; a bomb to a thousandth.
MAX_RATIO = 200
_RATIO_MATTERS_FROM = 10 * _MEBIBYTE

MAX_PAGES = 5_000
MAX_ELEMENTS = 200_000
MAX_TEXT_CHARACTERS = 20_000_000
_ENCRYPTED_FLAG = 0x1


def archive_members(content: bytes) -> list[str]:
    """Return the names in a ZIP archive that is safe to unpack. Raises an IngestFailed otherwise.

    The sizes are those that the archive declares. They bind: zipfile hands out no more of a member than its declared
    size, and fails on its checksum if there was more.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, OverflowError, ValueError) as error:
        raise DocumentUnreadable(
            "The file is a damaged or truncated office document. Save it again in its program and post it anew."
        ) from error
    if any(member.flag_bits & _ENCRYPTED_FLAG for member in members):
        raise DocumentEncrypted("The file is protected by a password. Remove the protection and post it again.")
    unpacked = sum(member.file_size for member in members)
    if len(members) > MAX_ARCHIVE_MEMBERS:
        raise DocumentTooLarge(
            f"The file is an archive of {len(members)} parts; {MAX_ARCHIVE_MEMBERS} are accepted. "
            "Split it and post the pieces."
        )
    too_dense = unpacked > _RATIO_MATTERS_FROM and unpacked > MAX_RATIO * max(len(content), 1)
    if unpacked > MAX_UNPACKED_BYTES or too_dense:
        most = min(MAX_UNPACKED_BYTES, max(_RATIO_MATTERS_FROM, MAX_RATIO * len(content)))
        raise DocumentTooLarge(
            f"Unpacked, the file would take {unpacked // _MEBIBYTE} MiB; of a file of its size "
            f"{most // _MEBIBYTE} MiB are accepted. Split it and post the parts."
        )
    return [member.filename for member in members]

"""The body of an answer, unpacked piece by piece, counted as it is sent and as it becomes."""

import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator

from stores.egress.errors import TooMuch, Unreachable

# A kilobyte of a bomb becomes a megabyte: no piece is unpacked further than this before it is counted.
_UNPACKED_AT_ONCE = 256 * 1024
_GZIP = ("gzip", "x-gzip")
_AS_IS = ("", "identity")


async def unpacked(parts: AsyncIterable[bytes], encoding: str, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield what `parts` hold. Raises TooMuch past `max_bytes`, and Unreachable for what was not asked for."""
    encoding = encoding.strip().lower()
    if encoding not in (*_GZIP, *_AS_IS):
        raise Unreachable("The site packs its answers in a way that was not asked for.")
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS) if encoding in _GZIP else None
    sent = became = 0
    async for part in parts:
        sent += len(part)
        if sent > max_bytes:
            raise too_much(max_bytes)
        for piece in _inflated(inflater, part) if inflater else iter((part,)):
            became += len(piece)
            if became > max_bytes:
                raise too_much(max_bytes)
            yield piece
    if inflater is not None and sent and not inflater.eof:
        raise Unreachable("The answer is damaged: it ends in the middle.")


def _inflated(inflater: "zlib._Decompress", part: bytes) -> Iterator[bytes]:
    try:
        while part and not inflater.eof:
            yield inflater.decompress(part, _UNPACKED_AT_ONCE)
            part = inflater.unconsumed_tail
    except zlib.error as error:
        raise Unreachable("The answer is damaged: it cannot be unpacked.") from error


def too_much(max_bytes: int) -> TooMuch:
    return TooMuch(f"The answer is longer than {max_bytes // 1024} KiB, more than is accepted.")

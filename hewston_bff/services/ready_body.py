"""JSON bodies that are compressed once, although their last member differs with every answer.

The body without its end is kept as raw deflate, flushed to a byte boundary and left open. An answer
adds its own end to it: as gzip one small block and a checksum that goes on from the kept one, so a
hit compresses nothing but the few bytes that are its own.
"""

import asyncio
import struct
import zlib
from hashlib import sha256

import msgspec

_LEVEL = 5
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_GZIP_TRAILER = struct.Struct("<II")
_INLINE_BYTES = 1 << 16


class ReadyBody(msgspec.Struct, frozen=True, array_like=True):
    """All of a body but its end; `digest` is of its text."""

    deflated: bytes
    size: int
    crc: int
    digest: str

    def gzipped(self, end: bytes) -> bytes:
        """The whole body as one gzip member."""
        compress = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        last_block = compress.compress(end) + compress.flush()
        size = (self.size + len(end)) & 0xFFFF_FFFF
        trailer = _GZIP_TRAILER.pack(zlib.crc32(end, self.crc), size)
        return b"".join((_GZIP_HEAD, self.deflated, last_block, trailer))

    async def plain(self, end: bytes) -> bytes:
        """The whole body as it is."""
        if self.size <= _INLINE_BYTES:
            return self._inflated() + end
        return await asyncio.to_thread(self._inflated) + end

    def _inflated(self) -> bytes:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(self.deflated)


async def ready_body(pieces: list[bytes]) -> ReadyBody:
    """The body that `pieces` begin; compressed in a thread, where zlib leaves the loop free."""
    return await asyncio.to_thread(_compressed, pieces)


def _compressed(pieces: list[bytes]) -> ReadyBody:
    text = b"".join(pieces)
    compress = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = compress.compress(text) + compress.flush(zlib.Z_FULL_FLUSH)
    return ReadyBody(deflated, len(text), zlib.crc32(text), sha256(text).hexdigest()[:32])

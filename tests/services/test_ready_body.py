"""Bodies compressed once, whatever their ends."""

import asyncio
import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.services.ready_body import ready_body


@given(pieces=st.lists(st.binary(max_size=300), max_size=8), ends=st.lists(st.binary(), max_size=3))
async def test_any_body_with_any_end_is_one_gzip_member_of_both(
    pieces: list[bytes], ends: list[bytes]
) -> None:
    body = await ready_body(pieces)
    for end in ends:
        whole = b"".join(pieces) + end
        assert await body.plain(end) == whole
        member = zlib.decompressobj(wbits=31)
        assert member.decompress(body.gzipped(end)) == whole
        assert member.eof
        assert member.unused_data == b""


async def test_a_large_body_too_and_the_loop_is_free_meanwhile() -> None:
    body = await ready_body([b'{"close": 101.25}' * 200_000])
    async with asyncio.TaskGroup() as group:
        plain = group.create_task(body.plain(b"!"))
    assert plain.result() == gzip.decompress(body.gzipped(b"!"))
    assert len(body.deflated) < body.size / 50


async def test_the_digest_is_of_the_body_without_its_end() -> None:
    one, same, other = [await ready_body([text]) for text in (b"a", b"a", b"b")]
    assert one.digest == same.digest != other.digest

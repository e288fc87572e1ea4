import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.tools.loadtest.events import ChunkReader, EventReader, StreamEvent
from hewston_bff.tools.loadtest.wire import BadReply


def _parts(data: bytes, cuts: list[int]) -> list[bytes]:
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(st.data(), st.lists(st.binary(min_size=1, max_size=300), max_size=6))
def test_chunks_are_joined_however_the_network_cuts_them(
    data: st.DataObject, bodies: list[bytes]
) -> None:
    stream = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(body), body) for body in bodies)
    stream += b"0\r\n\r\n"
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10).map(sorted))
    reader = ChunkReader()
    assert b"".join(reader.feed(part) for part in _parts(stream, cuts)) == b"".join(bodies)
    assert reader.is_over


@pytest.mark.parametrize("stream", [b"zz\r\n", b"-1\r\n", b"fffffffff\r\n", b"1" * 2_000])
def test_a_bad_chunk_is_refused(stream: bytes) -> None:
    with pytest.raises(BadReply):
        ChunkReader().feed(stream)


@given(st.data(), st.sampled_from([b"\n", b"\r\n"]))
def test_events_are_found_however_the_network_cuts_them(
    data: st.DataObject, line_end: bytes
) -> None:
    stream = (
        b"retry: 2000\n\n: still there\n\n"
        b'event: frame\nid: e:1\ndata: {"seq":1}\n\n'
        b"data:one\ndata: two\n\nevent: end\ndata: {}\n\nevent: frame\ndata: cut of"
    ).replace(b"\n", line_end)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10).map(sorted))
    events: list[StreamEvent] = []
    reader = EventReader(on_event=events.append)
    for part in _parts(stream, cuts):
        reader.feed(part)
    assert events == [
        StreamEvent("frame", b'{"seq":1}'),
        StreamEvent("message", b"one\ntwo"),
        StreamEvent("end", b"{}"),
    ]

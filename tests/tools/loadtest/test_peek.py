from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.tools.loadtest.peek import FRAME_STARTS, Peek, member, peek
from tests.tools.loadtest.server import frame

Numbers = st.integers(0, 2**53)


def _peek(text: bytes) -> Peek:
    # Amid other bytes, as it lies in a receive buffer.
    before, after = b'"seq":1,"dropped":9,', b',"sent_ns":5,"seq":2'
    return peek(bytearray(before + text + after), len(before), len(before) + len(text))


def _spaced(text: bytes) -> bytes:
    return text.replace(b'":', b'": ').replace(b',"', b', "')


@given(
    first=Numbers,
    width=st.integers(1, 10**6),
    sid=st.none() | Numbers,
    dropped=Numbers,
    sent_ns=st.none() | Numbers,
    write=st.sampled_from([bytes, _spaced]),
)
def test_the_numbers_are_those_of_a_full_decode(
    first: int,
    width: int,
    sid: int | None,
    dropped: int,
    sent_ns: int | None,
    write: Callable[[bytes], bytes],
) -> None:
    message = frame(first, first + width - 1, sid=sid, sent_ns=sent_ns) | {"dropped": dropped}
    text = write(msgspec.json.encode(message))
    assert text.startswith(FRAME_STARTS)
    assert _peek(text) == Peek(
        sid=-1 if sid is None else sid,
        first=first,
        seq=first + width - 1,
        n=width,
        dropped=dropped,
        sent_ns=-1 if sent_ns is None else sent_ns,
    )


def test_a_frame_of_the_backend_itself_has_no_number() -> None:
    text = b'{"t": "frame", "ts": "2024-01-02T14:30:00Z", "ohlc": null, "dropped": 0}'
    assert _peek(text) == Peek(-1, -1, -1, 1, 0, -1)


def test_a_number_in_an_unusual_place_is_found() -> None:
    text = b'{"t":"frame","ts":"2024-01-02T14:30:00Z","dropped":12,"sent_ns":77  ,"seq":4}'
    assert _peek(text) == Peek(-1, 4, 4, 1, 12, 77)


@given(st.binary(max_size=60))
def test_any_bytes_give_some_answer(junk: bytes) -> None:
    text = b'{"t":"frame",' + junk
    assert isinstance(peek(text, 0, len(text)), Peek)


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_frame_cut_short_is_read_within_its_bounds(cut: int) -> None:
    text = msgspec.json.encode(frame(10, 70, sid=1))[:-cut]
    peek(text, 0, len(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [(b'{"a":5}', 5), (b'{"a": 5}', 5), (b'{"a":null}', -1), (b'{"b":5}', -1), (b'{"a":', -1)],
)
def test_a_member_is_found_by_name(text: bytes, found: int) -> None:
    assert member(text, b'"a":', 0, len(text)) == found


def test_the_servers_frames_are_what_the_product_sends() -> None:
    message: dict[str, Any] = frame(3, 5, sid=2)
    assert list(message)[:6] == ["t", "sid", "from", "seq", "n", "ts0"]

"""Ready bytes, made once."""

import msgspec

from hewston_bff.hub.channel import Channel
from hewston_bff.hub.span_cache import Shape, SpanCache
from hewston_bff.protocol.commands import Mode
from hewston_bff.protocol.updates import Updates
from tests.hub.support import FRAMING, Stage
from tests.topics.run.frames import plain


def shape_of(cache: SpanCache, *, sid: int | None = None, mode: Mode = "merge") -> Shape:
    """A shape with whole frames."""
    return cache.shape(FRAMING, sid=sid, updates=Updates.FRAMES, mode=mode)


def channel_of(count: int, *, shift: int = 0) -> Channel:
    """A channel whose channel holds plain frames."""
    stage = Stage()
    stage.feed(*(plain(minute, shift=shift) for minute in range(count)))
    return stage.channel


def test_a_span_is_made_once_for_all_who_want_it_alike() -> None:
    cache, channel = SpanCache(max_bytes=1 << 20), channel_of(100)
    key = cache.new_log_key()
    assert shape_of(cache, sid=1) is shape_of(cache, sid=1)
    first = cache.get(channel, key, 0, 60, shape_of(cache, sid=1), 0)
    assert cache.get(channel, key, 0, 60, shape_of(cache, sid=1), 0) is first
    assert cache.encoded == 1
    assert first.startswith(b'{"t":"frame","sid":1,"from":0,"seq":59,"n":60,')


def test_spans_of_other_logs_ranges_shapes_and_losses_are_other_spans() -> None:
    cache = SpanCache(max_bytes=1 << 20)
    one, two = cache.new_log_key(), cache.new_log_key()
    channel, other = channel_of(100), channel_of(100, shift=9)
    texts = {
        cache.get(channel, one, 0, 60, shape_of(cache), 0),
        cache.get(other, two, 0, 60, shape_of(cache), 0),
        cache.get(channel, one, 0, 59, shape_of(cache), 0),
        cache.get(channel, one, 1, 60, shape_of(cache), 0),
        cache.get(channel, one, 0, 60, shape_of(cache, sid=2), 0),
        cache.get(channel, one, 0, 60, shape_of(cache, mode="all"), 0),
        cache.get(channel, one, 0, 60, shape_of(cache), 5),
    }
    assert len(texts) == 7


def test_in_all_mode_a_span_is_its_frames_one_message_each() -> None:
    cache, channel = SpanCache(max_bytes=1 << 20), channel_of(100)
    data = cache.get(channel, cache.new_log_key(), 3, 9, shape_of(cache, mode="all"), 0)
    assert data.splitlines() == [
        b'{"t":"frame","seq":%d,%b' % (seq, plain(seq).tail) for seq in range(3, 9)
    ]
    assert cache.encoded == 6


def test_the_bytes_kept_are_bounded_and_the_oldest_go_first() -> None:
    cache, channel = SpanCache(max_bytes=20_000), channel_of(600)
    key, shape = cache.new_log_key(), shape_of(cache)
    for seq in range(600):
        cache.get(channel, key, seq, seq + 1, shape, 0)
        assert cache.size_bytes <= 20_000
    assert cache.encoded == 600
    cache.get(channel, key, 599, 600, shape, 0)
    assert cache.encoded == 600
    again = cache.get(channel, key, 0, 1, shape, 0)
    assert cache.encoded == 601
    assert msgspec.json.decode(again)["seq"] == 0


def test_a_span_larger_than_the_bound_is_still_given() -> None:
    cache, channel = SpanCache(max_bytes=100), channel_of(100)
    key = cache.new_log_key()
    for stop in (50, 100):
        data = cache.get(channel, key, 0, stop, shape_of(cache, mode="all"), 0)
        assert len(data.splitlines()) == stop
        assert cache.size_bytes < 2 * len(data)

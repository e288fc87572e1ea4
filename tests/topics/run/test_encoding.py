"""Spans as messages, snapshots as pictures."""

import msgspec
import pytest

from hewston_bff.log.log import Evicted
from hewston_bff.protocol.updates import Updates
from hewston_bff.topics.run.encoding import encode_span
from hewston_bff.topics.run.frame_block import FrameLog, frame_log
from hewston_bff.topics.run.snapshot import MAX_BARS, Snapshots
from tests.topics.run.frames import RUN, frame, log_of, plain, ts

ALL = Updates.FRAMES


def message(log: FrameLog, start: int, stop: int, **how: object) -> dict[str, object]:
    """A span, decoded."""
    updates = how.get("updates", ALL)
    lost = how.get("lost", 0)
    assert isinstance(updates, Updates)
    assert isinstance(lost, int)
    body = encode_span(log, start, stop, updates=updates, lost=lost)
    return msgspec.json.decode(b"{" + body, type=dict[str, object])


def test_a_frame_alone_is_passed_on_to_the_byte_behind_its_seq() -> None:
    log = log_of(5)
    assert encode_span(log, 3, 4, updates=ALL, lost=0) == b'"seq":3,' + plain(3).tail


def test_a_merge_folds_state_and_keeps_orders() -> None:
    log = log_of(30)
    merged = message(log, 0, 23)
    frames = [plain(minute) for minute in range(23)]
    assert (merged["from"], merged["seq"], merged["n"]) == (0, 22, 23)
    assert (merged["ts0"], merged["ts"]) == (ts(0), ts(22))
    assert merged["ohlc"] == {
        "o": frames[0].o,
        "h": max(each.h for each in frames),
        "l": min(each.l for each in frames),
        "c": frames[-1].c,
        "v": sum(each.v for each in frames),
    }
    values = [each.equity for each in frames]
    assert merged["equity"] == {
        "ts": ts(22),
        "value": values[-1],
        "min": min(values),
        "max": max(values),
    }
    orders = merged["orders"]
    assert isinstance(orders, list)
    assert [order["order_id"] for order in orders] == ["0-0", "11-0", "22-0"]
    assert merged["dropped"] == 0


def test_a_merge_of_frames_without_bars_has_none_and_takes_unknown_members_of_the_last() -> None:
    log = frame_log(RUN)
    log.append(frame(0, equity=7, mood="calm"))
    log.append(frame(1, mood="wild"))
    merged = message(log, 0, 2)
    assert merged["ohlc"] is None
    assert merged["mood"] == "wild"
    assert merged["equity"] == {"ts": ts(0), "value": 7, "min": 7, "max": 7}
    log.append(frame(2))
    log.append(frame(3, bar={"o": 1.5, "c": None, "h": None, "l": None, "v": None}))
    assert message(log, 1, 4)["equity"] is None
    assert message(log, 1, 4)["ohlc"] == {"o": 1.5}


@pytest.mark.parametrize("stop", [2, 9])
def test_updates_choose_the_members(stop: int) -> None:
    log = log_of(10)
    orders = message(log, 1, stop, updates=Updates.ORDERS)
    assert {"orders", "ts", "seq", "dropped"} <= orders.keys()
    assert not {"ohlc", "equity"} & orders.keys()
    equity = message(log, 1, stop, updates=Updates.EQUITY | Updates.RUN)
    assert not {"ohlc", "orders"} & equity.keys()
    assert equity["equity"]


@pytest.mark.parametrize("stop", [2, 9])
def test_what_a_client_lost_is_in_dropped(stop: int) -> None:
    assert message(log_of(10), 1, stop, lost=41)["dropped"] == 41


def test_an_evicted_span_is_not_to_be_had() -> None:
    log = log_of(600)
    log.evict_block(below=600)
    with pytest.raises(Evicted):
        encode_span(log, 250, 260, updates=ALL, lost=0)


@pytest.mark.parametrize("stop", [0, 1, 999, 1_000, 1_001, 1_999, 2_500])
def test_a_snapshot_is_bounded_and_ends_before_the_cursor(stop: int) -> None:
    log = log_of(2_600)
    snapshots = Snapshots(log)
    texts = snapshots.picture(stop)
    bars, equity = (msgspec.json.decode(text, type=list[dict[str, object]]) for text in texts)
    assert len(bars) <= MAX_BARS
    assert len(bars) >= min(stop, MAX_BARS // 2)
    frames = [plain(minute) for minute in range(stop)]
    assert sum(bar["v"] for bar in bars) == sum(each.v for each in frames)  # type: ignore[misc]
    if stop:
        assert bars[-1]["ts"] == equity[-1]["ts"] == ts(stop - 1)
        assert max(bar["h"] for bar in bars) == max(each.h for each in frames)  # type: ignore[type-var]
    assert snapshots.picture(stop) == Snapshots(log).picture(stop) == texts


def test_a_snapshot_of_a_log_that_lost_its_beginning_shows_what_is_held() -> None:
    log = log_of(3_000)
    warm = Snapshots(log)
    warm.picture(3_000)
    log.evict_block(below=3_000)
    bars = msgspec.json.decode(warm.picture(3_000)[0], type=list[dict[str, object]])
    assert bars[0]["ts0"] == ts(256)

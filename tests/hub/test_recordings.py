"""Every recording of the real backend through the hub: nothing of it is lost by merging."""

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from hewston_bff.tools.simulator import load_recording
from hewston_bff.topics.run.wire import RawFrame, decode
from tests.hub.support import MemorySink, Message, Stage
from tests.recordings import RECORDINGS, needs_recordings

PATHS = sorted((RECORDINGS / "ws").glob("*.jsonl*"))
_LARGE = 100_000

pytestmark = needs_recordings


def recorded(path: Path) -> list[RawFrame]:
    frames = [decode(frame) for frame in load_recording(path).frames]
    return [frame for frame in frames if isinstance(frame, RawFrame)]


def play(frames: list[RawFrame], *, speed: float, max_fps: float) -> tuple[MemorySink, int]:
    """A run played to its end; what the viewer got and how many ticks it took."""
    stage = Stage()
    stage.feed(*frames)
    stage.complete()
    viewer, sink = stage.view(speed=speed, max_fps=max_fps)
    ticks = 0
    while stage.status_of(viewer) != "ended":
        stage.tick(600)
        ticks += 600
    return sink, ticks


def check(messages: list[Message], frames: list[RawFrame]) -> None:
    """Conservation: adjacent ranges, and the fold of what came is the fold of the source."""
    assert messages[0].get("from", messages[0]["seq"]) == 0
    for last, message in pairwise(messages):
        assert message.get("from", message["seq"]) == last["seq"] + 1
    assert sum(message.get("n", 1) for message in messages) == len(frames)
    bars = [message["ohlc"] for message in messages if message["ohlc"] is not None]
    source = [frame for frame in frames if frame.o == frame.o]
    if source:
        assert bars[0]["o"] == source[0].o
        assert max(bar["h"] for bar in bars) == max(frame.h for frame in source)
        assert min(bar["l"] for bar in bars) == min(frame.l for frame in source)
        assert bars[-1]["c"] == source[-1].c
        assert sum(bar["v"] for bar in bars) == sum(frame.v for frame in source)
    equity = [message["equity"] for message in messages]
    values = [frame.equity for frame in frames]
    assert equity[-1]["value"] == values[-1]
    assert min(e.get("min", e["value"]) for e in equity) == min(values)
    assert max(e.get("max", e["value"]) for e in equity) == max(values)
    texts = b",".join(frame.orders for frame in frames if frame.orders)
    orders = [order for message in messages for order in message["orders"]]
    assert orders == msgspec.json.decode(b"[%b]" % texts)


@pytest.mark.parametrize("max_fps", [1, 30, 60])
@pytest.mark.parametrize("speed", [0.5, 1, 60, 1_000])
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name[:6])
def test_merging_a_recording_conserves_it(path: Path, speed: float, max_fps: float) -> None:
    frames = recorded(path)
    if len(frames) > _LARGE and speed < 60:
        frames = frames[:20_000]
    sink, ticks = play(frames, speed=speed, max_fps=max_fps)
    check(sink.frames(), frames)
    assert len(sink.frames()) <= ticks / 60 * max_fps + 1


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name[:6])
def test_all_mode_gives_a_recording_to_the_byte(path: Path) -> None:
    frames = recorded(path)
    stage = Stage()
    stage.feed(*frames)
    stage.complete()
    texts: list[bytes] = []
    viewer, sink = stage.view(mode="all", speed=0)
    sink.push = lambda data: texts.extend(data.splitlines())  # type: ignore[method-assign]
    while stage.status_of(viewer) != "ended":
        stage.tick()
    assert len(texts) == len(frames)
    for seq, (text, frame) in enumerate(zip(texts, frames, strict=True)):
        assert text == b'{"t":"frame","seq":%d,%b' % (seq, frame.tail)

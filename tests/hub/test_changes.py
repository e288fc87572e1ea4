"""Whatever happens to a log can be written down, sent elsewhere and applied there."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from hewston_bff.errors import BackendUnavailable
from hewston_bff.hub.span_cache import SpanCache
from hewston_bff.hub.stats import Counters
from hewston_bff.hub.subscription import Subscription
from hewston_bff.hub.topic_entry import TopicEntry
from hewston_bff.log.changes import LogChange
from hewston_bff.topics.run.description import RunDescription
from hewston_bff.topics.run.identity import RunIdentity
from hewston_bff.topics.run.link import Connect, ConnectionLost, Quiet
from hewston_bff.topics.run.run_state import Change
from hewston_bff.topics.run.skips import Skip
from tests.hub.support import MemorySink, Stage, StageKind, say
from tests.hub.test_recordings import PATHS, recorded
from tests.topics.run.frames import plain

ENCODER = msgspec.msgpack.Encoder()
DECODER: msgspec.msgpack.Decoder[Change] = msgspec.msgpack.Decoder(Change)
WISHES: list[dict[str, Any]] = [
    {"speed": 60},
    {"speed": 7, "updates": ["frames", "metrics", "run"]},
    {"mode": "all", "speed": 300},
    {"from": "live", "max_fps": 10},
    {"speed": 1_000, "updates": ["orders", "equity"]},
]


class Mirror:
    """A stage, and a second channel elsewhere that knows only the changes, as bytes."""

    def __init__(self) -> None:
        self.stage = Stage(status="RUNNING")
        stage = self.stage
        self.there = TopicEntry(
            stage.channel.topic,
            StageKind(),
            ticker=stage.ticker,
            cache=SpanCache(max_bytes=1 << 22),
            counters=Counters(),
            restart=lambda _: None,
        )
        self.there.apply(stage.channel.link)
        self.kinds: set[str] = set()
        here, apply = stage.entry, stage.entry.apply

        def applied(change: LogChange[Any]) -> None:
            text = ENCODER.encode(change)
            self.kinds.add(type(change).__name__)
            apply(change)
            self.there.apply(DECODER.decode(text))

        here.apply = applied  # type: ignore[method-assign]  # what is sent on the way
        stage.describe(RunDescription(status="RUNNING", progress=1.0))
        self.pairs: list[tuple[Subscription, MemorySink, Subscription, MemorySink]] = []

    def watch(self) -> None:
        """Viewers of each kind, here and there."""
        here, there = self.stage.entry, self.there
        for wishes in WISHES:
            self.stage.entry = here
            one = self.stage.view(**wishes)
            self.stage.entry = there
            self.pairs.append((*one, *self.stage.view(**wishes)))
        self.stage.entry = here

    def check(self) -> None:
        """Every byte is the same, but for the time of day that a message tells."""
        for _, here, _, there in self.pairs:
            assert len(here.seen) > 5
            for message in (*here.seen, *there.seen):
                message.pop("updated_at", None)
            assert here.seen == there.seen
        assert self.stage.log.size_bytes == self.there.log.size_bytes


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name[:6])
def test_the_changes_of_a_recording_make_the_same_log_elsewhere(path: Path) -> None:
    frames = recorded(path)[:6_000]
    mirror = Mirror()
    stage = mirror.stage
    mirror.watch()
    for start in range(0, len(frames), 97):
        stage.feed(*frames[start : start + 97])
        stage.tick(3)
    stage.complete()
    stage.tick(600)
    mirror.check()


def test_whatever_happens_to_a_run_happens_elsewhere() -> None:
    mirror = Mirror()
    stage = mirror.stage
    stage.feed(*map(plain, range(700)))
    mirror.watch()
    stage.tick(60)
    stage.skip(Skip.MALFORMED)
    stage.step(Quiet(), now_s=1.0)
    stage.step(ConnectionLost(jitter=0.5), now_s=2.0)
    stage.tick(30)
    stage.step(Connect(), now_s=3.0)
    stage.open(now_s=3.0)
    stage.feed(*map(plain, range(400)), *(plain(n, shift=1) for n in range(400, 900)))
    stage.tick(60)
    for viewer, _, twin, _ in mirror.pairs:
        for each in (viewer, twin):
            say(each, "seek", pos=300)
    stage.tick(60)
    stage.complete()
    stage.tick(60)
    stage.describe(
        RunDescription(status="DONE", identity=RunIdentity("2024-01-01T00:00:00Z", "a", None))
    )
    stage.describe(
        RunDescription(status="DONE", identity=RunIdentity("2025-01-01T00:00:00Z", "a", None))
    )
    stage.open(now_s=9.0)
    stage.feed(*map(plain, range(50)))
    stage.fail(BackendUnavailable("try later"))
    stage.tick(60)
    mirror.check()
    assert mirror.kinds == {
        *("Append", "Fork", "Restart", "Complete", "Failed", "Status", "LinkChange", "LeftOut")
    }

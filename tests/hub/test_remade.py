"""A run that was made anew under its id, as its channel sees it."""

from dataclasses import replace

import msgspec
import pytest

from hewston_bff.topics.run.description import RunDescription
from hewston_bff.topics.run.identity import RunIdentity, identity_in
from hewston_bff.topics.run.link import LinkState
from hewston_bff.topics.run.skips import Skip
from tests.hub.support import Stage
from tests.topics.run.frames import plain

FIRST = RunIdentity("2024-02-01T00:00:00Z", "abc", None)
DONE = RunDescription(status="DONE", identity=FIRST, asked_s=1.0, told_s=2.0)


def over(detail: RunDescription = DONE) -> Stage:
    """A run of ten frames that is over."""
    stage = Stage()
    stage.describe(detail)
    stage.feed(*(plain(minute) for minute in range(10)))
    stage.complete()
    stage.describe(detail)
    return stage


def later(detail: RunDescription) -> RunDescription:
    return replace(detail, asked_s=5.0, told_s=6.0)


@pytest.mark.parametrize(
    "detail",
    [
        RunDescription(status="DONE", identity=FIRST._replace(created_at="2024-02-02T00:00:00Z")),
        RunDescription(status="DONE", identity=FIRST._replace(code_hash="abd")),
        RunDescription(status="RUNNING", identity=FIRST),
        RunDescription(status="QUEUED"),
    ],
)
def test_another_identity_and_running_after_the_end_are_another_run(detail: RunDescription) -> None:
    stage = over()
    old = stage.channel.log
    _, sink = stage.view(speed=100, paused=True)
    stage.describe(later(detail))
    log = stage.channel.log
    assert (log.next_seq, log.is_complete, stage.restarts) == (0, False, 1)
    assert stage.source.state.link.state is LinkState.IDLE
    assert stage.channel.link.status is None
    reset = next(message for message in sink.seen if message["t"] == "reset")
    assert (reset["reason"], reset["epoch"]) == ("run_remade", None)
    stage.open(now_s=9.0)
    stage.feed(*(plain(minute) for minute in range(10)))
    assert log.epoch != old.epoch, "although it begins alike"
    assert log.next_seq == 10


@pytest.mark.parametrize(
    "detail",
    [
        DONE,
        RunDescription(status="DONE"),
        RunDescription(status=None),
        RunDescription(status="ARCHIVED", identity=FIRST),
        RunDescription(status="DONE", identity=FIRST._replace(input_hash="told only now")),
        RunDescription(status="ERROR", identity=FIRST._replace(code_hash=None)),
    ],
)
def test_what_tells_less_or_more_of_the_same_run_changes_nothing(detail: RunDescription) -> None:
    stage = over()
    log = stage.channel.log
    stage.describe(later(detail))
    assert stage.channel.log is log
    assert log.next_seq == 10


def test_an_answer_that_was_overtaken_is_no_news() -> None:
    stage = over()
    log = stage.channel.log
    running = RunDescription(status="RUNNING", identity=FIRST, asked_s=0.5, told_s=2.5)
    stage.describe(running)
    assert stage.channel.log is log
    assert stage.source.state.description == DONE


def test_the_epoch_is_the_same_wherever_the_same_run_is_read() -> None:
    epochs = set()
    for _ in range(2):
        epochs.add(over().channel.log.epoch)
    other = RunDescription(status="DONE", identity=FIRST._replace(code_hash="abd"))
    assert len(epochs) == 1
    assert over(other).channel.log.epoch not in epochs


def test_a_run_made_anew_counts_its_own_skipped_frames() -> None:
    stage = over()
    stage.skip(Skip.MALFORMED)
    stage.describe(later(RunDescription(status="RUNNING", identity=FIRST)))
    assert stage.channel.skipped is None


@pytest.mark.parametrize(
    ("members", "identity"),
    [
        ({}, RunIdentity()),
        ({"created_at": "2024-02-01T00:00:00"}, RunIdentity("2024-02-01T00:00:00Z")),
        ({"created_at": "2024-02-01T01:00:00+01:00"}, RunIdentity("2024-02-01T00:00:00Z")),
        ({"created_at": 1_706_745_600}, RunIdentity("2024-02-01T00:00:00Z")),
        ({"created_at": "long ago"}, RunIdentity("long ago")),
        ({"code_hash": None, "input_hash": "x"}, RunIdentity(None, None, "x")),
        ({"code_hash": {"a": 1}, "input_hash": ""}, RunIdentity(None, '{"a":1}', None)),
    ],
)
def test_an_identity_compares_instants_not_texts(
    members: dict[str, object], identity: RunIdentity
) -> None:
    raws = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in members.items()}
    assert identity_in(raws) == identity

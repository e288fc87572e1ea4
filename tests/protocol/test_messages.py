"""The client protocol both ways."""

import random

import msgspec
import pytest

from hewston_bff.protocol.commands import Ctrl, InvalidMessage, Subscribe, decode_command, echo
from hewston_bff.protocol.event_stream import OVERSIZED, EventParser, event
from hewston_bff.protocol.ids import Epoch, RunId, parse_run_id
from hewston_bff.protocol.notices import (
    Bye,
    Ended,
    Err,
    Lag,
    Reset,
    State,
    Subscribed,
    UpstreamNews,
    encode,
)

EXAMPLES = [
    b'{"t":"subscribe","id":1,"run_id":"r","from":"start","speed":60,"paused":false,'
    b'"mode":"merge","max_fps":30,"updates":["frames","run"]}',
    b'{"t":"subscribe","id":2,"run_id":"r",'
    b'"resume":{"epoch":"9f2c41d0a7be","seq":1042,"ts":"2024-03-01T14:29:00Z"}}',
    b'{"t":"unsubscribe","id":3,"sid":1}',
    b'{"t":"ctrl","id":4,"sid":1,"cmd":"seek","pos":"2024-03-01T14:30:00Z","val":60}',
    b'{"t":"ping","ts":1735689600000}',
    b'{"t":"hb"}',
]


def test_the_first_example_holds_the_defaults() -> None:
    assert decode_command(EXAMPLES[0]) == decode_command(b'{"t":"subscribe","id":1,"run_id":"r"}')


def test_commands_are_read_and_unknown_members_ignored() -> None:
    resumed = decode_command(EXAMPLES[1])
    assert isinstance(resumed, Subscribe)
    assert resumed.resume is not None
    assert resumed.resume.seq == 1042
    ctrl = decode_command(b'{"t":"ctrl","cmd":"speed","speed":5,"mood":[1]}')
    assert ctrl == Ctrl(cmd="speed", speed=5.0)


@pytest.mark.parametrize(
    ("data", "reason", "request_id"),
    [
        (b"{", "invalid JSON", None),
        (b"[1]", "invalid JSON", None),
        (b'"x"', "invalid JSON", None),
        (b"\xff", "invalid JSON", None),
        (b"[" * 5_000, "invalid JSON", None),
        (b'{"t":"dance","id":5}', "unsupported message", 5),
        (b'{"id":"a"}', "unsupported message", "a"),
        (b'{"t":"ctrl","cmd":"dance","id":4}', "invalid ctrl.cmd", 4),
        (b'{"t":"subscribe","id":1}', "run_id", 1),
        (b'{"t":"subscribe","id":1,"run_id":"r","speed":0.001}', "speed", 1),
        (b'{"t":"subscribe","id":1,"run_id":"r","speed":1e9}', "speed", 1),
        (b'{"t":"subscribe","id":1,"run_id":"r","max_fps":61}', "max_fps", 1),
        (b'{"t":"subscribe","id":1,"run_id":"r","updates":["all"]}', "updates", 1),
        (b'{"t":"ctrl","cmd":"seek","pos":99999999999999999999}', "pos", None),
    ],
)
def test_bad_messages_say_which_field_and_why(
    data: bytes, reason: str, request_id: int | str | None
) -> None:
    with pytest.raises(InvalidMessage) as caught:
        decode_command(data)
    assert reason in caught.value.reason
    assert caught.value.request_id == request_id


def test_a_refusal_does_not_repeat_what_it_was_given() -> None:
    value = "x - at `$.cmd`" + "y\\n" * 10_000
    with pytest.raises(InvalidMessage) as caught:
        decode_command(b'{"t":"subscribe","run_id":"r","mode":"%b"}' % value.encode())
    assert caught.value.reason == "Invalid enum value - at `$.mode`"


def test_speed_0_belongs_to_all_mode() -> None:
    command = decode_command(b'{"t":"subscribe","run_id":"r","mode":"all","speed":0}')
    assert isinstance(command, Subscribe)


def test_mutated_messages_are_commands_or_refusals() -> None:
    chance = random.Random(5)
    for _ in range(20_000):
        data = bytearray(chance.choice(EXAMPLES))
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            command = decode_command(bytes(data))
        except InvalidMessage as invalid:
            encode(Err(re=invalid.request_id or 0, code="VALIDATION", msg=invalid.reason))
            continue
        if isinstance(command, Ctrl):
            msgspec.json.decode(echo(bytes(data)))


def test_notices_have_the_contracts_shapes() -> None:
    epoch = Epoch("9f2c41d0a7be")
    subscribed = Subscribed(
        re=1,
        sid=1,
        run_id=RunId("r"),
        epoch=None,
        first=None,
        last=None,
        complete=False,
        seq=-1,
        status="buffering",
        speed=60.0,
        max_fps=30.0,
        mode="merge",
        recovered=None,
    )
    assert encode(subscribed) == (
        b'{"t":"subscribed","re":1,"sid":1,"run_id":"r","epoch":null,"first":null,"last":null,'
        b'"complete":false,"seq":-1,"status":"buffering","speed":60.0,"max_fps":30.0,'
        b'"mode":"merge","recovered":null}'
    )
    state = State(
        status="paused",
        seq=1051,
        ts=None,
        speed=60.0,
        frames_per_s=1800.0,
        live_edge=9,
        behind=0,
        seeked=False,
    )
    assert encode(state) == (
        b'{"t":"state","status":"paused","seq":1051,"ts":null,"speed":60.0,'
        b'"frames_per_s":1800.0,"live_edge":9,"behind":0,"seeked":false}'
    )
    assert encode(Lag(sid=1, from_=3, to=5)) == (
        b'{"t":"lag","sid":1,"from":3,"to":5,"reason":"evicted"}'
    )
    assert encode(Reset(sid=1, epoch=epoch)) == (
        b'{"t":"reset","sid":1,"epoch":"9f2c41d0a7be","reason":"upstream_diverged"}'
    )
    assert encode(Ended(seq=4)) == b'{"t":"end","seq":4}'
    assert encode(Bye(code=1012, after_ms=1840)) == b'{"t":"bye","code":1012,"after_ms":1840}'
    news = UpstreamNews(run_id=RunId("r"), status="retrying", attempt=3, retry_in_ms=2100)
    assert encode(news) == (
        b'{"t":"upstream","run_id":"r","status":"retrying","attempt":3,"retry_in_ms":2100}'
    )


def test_an_echo_is_the_command_and_says_so() -> None:
    data = b'{"t":"ctrl","cmd":"speed","speed":2,"secret":"x"}'
    assert msgspec.json.decode(echo(data)) == {
        "t": "ctrl",
        "cmd": "speed",
        "speed": 2,
        "echo": True,
    }


@pytest.mark.parametrize("text", ["", ".", "..", "a b", "a/b", "x" * 129, "ä", "a\n"])
def test_run_ids_that_cannot_be(text: str) -> None:
    assert parse_run_id(text) is None


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_events_are_the_same_however_they_arrive(size: int) -> None:
    stream = event("frame", b'{"a":1}', event_id="e:1") + b": hb\n\n" + event("end", b"{}")
    parser = EventParser(max_bytes=1_000)
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    events = [each for chunk in chunks for each in parser.feed(chunk)]
    assert events == [("frame", b'{"a":1}'), ("end", b"{}")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_an_oversized_event_is_told_of_once_and_those_after_it_are_read(size: int) -> None:
    huge = event("frame", b"x" * 500)
    stream = event("frame", b"1") + huge.replace(b"\n", b"\r\n") + event("end", b"{}")
    parser = EventParser(max_bytes=100)
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    events = [each for chunk in chunks for each in parser.feed(chunk)]
    assert events == [("frame", b"1"), (OVERSIZED, b""), ("end", b"{}")]

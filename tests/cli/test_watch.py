"""The terminal viewer: its model and keys without a clock, itself over real sockets and a pty."""

import asyncio
import io
import os
import pty
import termios
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import typer
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from pytest_aiohttp import AiohttpServer
from rich.console import Console
from typer.testing import CliRunner, Result
from yarl import URL

from hewston_bff.cli.run_viewer import TerminalViewer
from hewston_bff.cli.viewing import Ending, WatchLimits
from hewston_bff.cli.watch import watch
from hewston_bff.tools.viewer import keys as watch_keys
from hewston_bff.tools.viewer.feed import Wish
from hewston_bff.tools.viewer.keys import Key, command, parse
from hewston_bff.tools.viewer.messages import decode
from hewston_bff.tools.viewer.model import Trail, WatchModel
from hewston_bff.tools.viewer.view import line, panel, sparkline
from tests.tools.loadtest.server import Behaviour, FrameServer, Json, frame

Start = Callable[[Behaviour], Awaitable[tuple[FrameServer, URL]]]


def _model(*messages: Json, now_s: float = 0.0) -> WatchModel:
    model = WatchModel("r")
    _feed(model, *messages, now_s=now_s)
    return model


def _feed(model: WatchModel, *messages: Json, now_s: float = 0.0) -> None:
    for message in messages:
        decoded = decode(msgspec.json.encode(message))
        assert decoded is not None
        model.apply(decoded, now_s=now_s)


SUBSCRIBED = {"t": "subscribed", "run_id": "r", "last": 999, "status": "playing", "speed": 60}


def _state(**members: object) -> Json:
    return {"t": "state", "status": "playing", "seq": 9, "speed": 60, "live_edge": 999} | members


# The model.


def test_frames_move_the_position_and_count_what_was_merged() -> None:
    model = _model(SUBSCRIBED, frame(0, 0), frame(1, 60))
    assert (model.seq, model.last, model.behind) == (60, 999, 939)
    assert (model.frames, model.merged, model.lost) == (2, 59, 0)
    assert (model.price, model.equity, model.status) == (101.0, 100_060.0, "playing")


def test_the_extremes_of_merged_equity_are_kept() -> None:
    merged = frame(1, 60) | {"equity": {"ts": "x", "value": 5.0, "min": 2.0, "max": 9.0}}
    model = _model(frame(0, 0) | {"equity": {"ts": "x", "value": 4.0}}, merged)
    assert (model.equity, model.equity_min, model.equity_max) == (5.0, 2.0, 9.0)


def test_a_frame_without_prices_keeps_the_last_one() -> None:
    model = _model(frame(0, 0), frame(1, 1) | {"ohlc": None, "equity": None})
    assert (model.price, model.equity, model.seq) == (101.0, 100_000.0, 1)


def test_orders_are_counted_and_the_last_one_is_kept() -> None:
    orders = [{"side": "BUY", "qty": 1, "price": 10.0}, {"side": "SELL", "qty": 2, "price": 11}]
    model = _model(frame(0, 0) | {"orders": orders})
    assert model.orders == 2
    assert model.order is not None
    assert (model.order.side, model.order.price) == ("SELL", 11.0)


def test_lost_frames_are_counted_once_and_over_connections() -> None:
    model = _model(frame(0, 0), {"t": "lag", "from": 1, "to": 5}, frame(6, 6) | {"dropped": 5})
    assert model.lost == 5
    model.connected()
    _feed(model, frame(7, 7) | {"dropped": 2})
    assert model.lost == 7


def test_a_seek_moves_the_position_and_starts_the_extremes_over() -> None:
    model = _model(frame(0, 10), _state(seq=499, seeked=True, ts="2024-03-01T00:00:00Z"))
    assert (model.seq, model.ts, model.equity_min) == (499, "2024-03-01T00:00:00Z", None)
    _feed(model, {"t": "snapshot", "equity": [{"ts": "x", "value": 3.0, "min": 1.0, "max": 4.0}]})
    assert (model.equity_min, model.equity_max, model.trail.values) == (1.0, 4.0, [3.0])


def test_a_state_without_a_seek_leaves_the_position() -> None:
    model = _model(frame(0, 10), _state(seq=3, status="paused", speed=2, live_edge=20))
    assert (model.seq, model.last, model.status, model.speed) == (10, 20, "paused", 2)
    assert not model.is_playing


def test_news_are_put_into_words() -> None:
    model = _model(
        {"t": "upstream", "run_id": "r", "status": "retrying", "attempt": 3, "retry_in_ms": 2100},
        {"t": "run", "run_id": "r", "status": "RUNNING", "progress": 41.5},
        {"t": "err", "code": "RANGE", "msg": "no such frame"},
        {"t": "bye", "code": 1012, "after_ms": 10},
    )
    assert model.upstream == "retrying, attempt 3, again in 2.1 s"
    assert model.run_status == "RUNNING 42 %"
    assert model.error == "RANGE: no such frame"
    assert "going down" in model.link


def test_what_the_run_lacks_is_shown_with_its_reasons() -> None:
    skipped = {"frames": 1_203, "reasons": {"malformed": 3, "time_unreadable": 1_200}}
    model = _model({"t": "run", "run_id": "r", "status": "DONE", "skipped": skipped})
    shown = "unreadable 1,203 frames (malformed 3, time_unreadable 1,200)"
    assert shown in line(model, now_s=0.0)
    console = Console(file=io.StringIO(), width=120)
    console.print(panel(model, now_s=0.0, has_keys=False))
    assert isinstance(console.file, io.StringIO)
    assert "time_unreadable 1,200" in console.file.getvalue()


def test_an_equity_without_a_value_keeps_the_last_one() -> None:
    valueless = frame(1, 1) | {"equity": {"ts": "2024-01-02T14:31:00Z", "value": None}}
    model = _model(SUBSCRIBED, frame(0, 0))
    before = model.equity
    _feed(model, valueless)
    assert (model.seq, model.equity) == (1, before)


def test_another_connection_goes_on_with_the_next_frame() -> None:
    model = _model(SUBSCRIBED, frame(0, 10))
    assert model.next_index == 11
    _feed(model, {"t": "end", "seq": 10})
    assert model.next_index == 10


def test_frames_a_second_are_those_of_the_last_two_seconds() -> None:
    model = WatchModel("r")
    for at in range(40):
        _feed(model, frame(at, at), now_s=at * 0.1)
        if at == 10:
            assert model.fps(1.0) == 11
    assert model.fps(4.0) == 10
    assert model.fps(100.0) == 0


def test_messages_that_are_not_shown_are_passed_over() -> None:
    assert decode(b'{"t":"hb","ts":1}') is None
    assert decode(b'{"t":"news of tomorrow"}') is None
    assert decode(b"{") is None


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=2_000))
def test_the_trail_is_bounded_and_keeps_the_first_value(values: list[float]) -> None:
    trail = Trail()
    for value in values:
        trail.add(value)
    assert len(trail.values) < 100
    assert trail.values[:1] == values[:1]


# The view.


def test_a_sparkline_shows_the_shape() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([5.0, 5.0]) == "▄▄"
    assert sparkline([]) == ""
    assert len(sparkline([float(at) for at in range(90)], width=48)) == 48


@pytest.mark.parametrize("messages", [(), (SUBSCRIBED, frame(0, 59), _state(status="paused"))])
def test_any_model_can_be_shown(messages: tuple[Json, ...]) -> None:
    model = _model(*messages)
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    console.print(panel(model, now_s=0.0, has_keys=True))
    assert line(model, now_s=0.0)


def test_a_line_tells_what_matters() -> None:
    model = _model(SUBSCRIBED, frame(0, 59))
    model.link = "connected"
    told = line(model, now_s=0.0)
    for part in ("playing", "x60", "59/999", "price 101.00", "merged 59", "lost 0", "behind 940"):
        assert part in told


# The keys.


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (b" q", [Key.TOGGLE, Key.QUIT]),
        (b"+-][", [Key.FASTER, Key.SLOWER, Key.FASTER, Key.SLOWER]),
        (b"\x1b[C\x1b[D\x1bOC", [Key.STEP_ON, Key.STEP_BACK, Key.STEP_ON]),
        (b"\x1b[5~\x1b[6~hl", [Key.SEEK_BACK, Key.SEEK_ON, Key.SEEK_BACK, Key.SEEK_ON]),
        (b"\x1b[H\x1b[F\x1b[1~\x1b[4~g", [Key.START, Key.LIVE, Key.START, Key.LIVE, Key.LIVE]),
        (b"x\x1b[2;5Z\x1b[E\x1b[1;5C\x1bq", [Key.QUIT]),
        (b"\x1b[A\x1bOBjk", [Key.UP, Key.DOWN, Key.DOWN, Key.UP]),
    ],
)
def test_keys_are_read_in_all_their_forms(typed: bytes, keys: list[Key]) -> None:
    assert parse(typed) == keys


@given(st.binary(max_size=40))
def test_any_bytes_are_keys_or_nothing(typed: bytes) -> None:
    assert all(isinstance(key, Key) for key in parse(typed))


@pytest.mark.parametrize(
    ("key", "sent"),
    [
        (Key.TOGGLE, {"cmd": "pause"}),
        (Key.FASTER, {"cmd": "speed", "val": 120}),
        (Key.SLOWER, {"cmd": "speed", "val": 30}),
        (Key.STEP_ON, {"cmd": "step", "val": 1}),
        (Key.STEP_BACK, {"cmd": "step", "val": -1}),
        (Key.SEEK_ON, {"cmd": "seek", "pos": 550}),
        (Key.SEEK_BACK, {"cmd": "seek", "pos": 450}),
        (Key.START, {"cmd": "seek", "pos": 0}),
        (Key.LIVE, {"cmd": "live"}),
        (Key.QUIT, None),
    ],
)
def test_each_key_is_a_command(key: Key, sent: Json | None) -> None:
    data = command(key, _model(SUBSCRIBED, frame(500, 500)))
    assert (data and msgspec.json.decode(data)) == (sent and {"t": "ctrl", **sent})


def test_keys_in_a_row_add_up_before_any_answer() -> None:
    model = _model(SUBSCRIBED, frame(500, 500))
    assert [_value(command(Key.FASTER, model), "val") for _ in range(3)] == [120, 240, 480]
    assert [_value(command(Key.SEEK_ON, model), "pos") for _ in range(2)] == [550, 599]


def _value(data: bytes | None, member: str) -> Any:
    assert data is not None
    return msgspec.json.decode(data)[member]


def test_a_seek_stays_inside_the_run() -> None:
    model = _model(SUBSCRIBED, frame(990, 990))
    assert _value(command(Key.SEEK_ON, model), "pos") == 999
    model = _model(SUBSCRIBED, frame(3, 3))
    assert _value(command(Key.SEEK_BACK, model), "pos") == 0
    assert command(Key.SEEK_ON, WatchModel("r")) is None


def test_a_log_that_still_fills_is_asked_about_without_changing_anything() -> None:
    model = _model(SUBSCRIBED, frame(0, 0))
    asked = watch_keys.ask(model)
    assert asked is not None
    assert msgspec.json.decode(asked) == {"t": "ctrl", "cmd": "speed", "val": 60}
    _feed(model, _state(live_edge=5_000, complete=True))
    assert (model.last, watch_keys.ask(model)) == (5_000, None)


def test_space_plays_again_what_stands() -> None:
    model = _model(SUBSCRIBED, {"t": "end", "seq": 999})
    assert _value(command(Key.TOGGLE, model), "cmd") == "play"


# The viewer over real sockets.


@pytest.fixture
def start(aiohttp_server: AiohttpServer) -> Start:
    async def started(behaviour: Behaviour) -> tuple[FrameServer, URL]:
        frames = FrameServer(behaviour)
        server: TestServer = await aiohttp_server(frames.app())
        return frames, server.make_url("/")

    return started


_TWENTY_S = WatchLimits(20)


async def _watched(
    url: URL, *, limits: WatchLimits = _TWENTY_S, **wishes: Any
) -> tuple[Ending, str]:
    out = io.StringIO()
    wish = Wish(run_id="r", url=url, **wishes)
    ending = await TerminalViewer(wish, limits=limits, console=Console(file=out)).run()
    return ending, out.getvalue()


async def test_without_a_terminal_it_prints_lines_and_ends_with_the_run(start: Start) -> None:
    _, url = await start(Behaviour(frames=20))
    ending, out = await _watched(url)
    assert ending == Ending(0)
    assert "ended" in out
    assert "19/19" in out


async def test_it_ends_after_so_many_frames(start: Start) -> None:
    _, url = await start(Behaviour())
    ending, out = await _watched(url, limits=WatchLimits(frames=5))
    assert ending.code == 0
    assert out.count("\n") == 1


async def test_it_ends_after_some_seconds(start: Start) -> None:
    _, url = await start(Behaviour(stop_after=0))
    ending, _ = await _watched(url, limits=WatchLimits(seconds=0.1))
    assert ending == Ending(0)


async def test_wishes_go_to_the_server(start: Start) -> None:
    server, url = await start(Behaviour())
    await _watched(
        url, limits=WatchLimits(frames=1), speed=2.0, start="live", max_fps=5.0, token="secret"
    )
    request = server.requests[0]
    assert request.path == "/api/v1/runs/r/stream"
    assert dict(request.query) == {"speed": "2.0", "max_fps": "5.0", "from": "live"}
    assert request.headers["Authorization"] == "Bearer secret"


async def test_after_a_bye_it_comes_back_and_goes_on_where_it_was(start: Start) -> None:
    bye = {"t": "bye", "code": 1012, "after_ms": 5}
    behaviour = Behaviour(between={7: [bye]}, close_after=7)
    server, url = await start(behaviour)
    ending, out = await _watched(url, limits=WatchLimits(frames=20))
    assert ending == Ending(0)
    assert [request.query.get("from") for request in server.requests] == [None, "7", "14"]
    assert "lost 0" in out
    assert "19/" in out


async def test_a_closed_socket_and_a_busy_server_are_retried(start: Start) -> None:
    server, url = await start(Behaviour(close_after=5, refuse=[0, 503, 429], close_code=1011))
    ending, _ = await _watched(url, limits=WatchLimits(frames=8))
    assert ending == Ending(0)
    assert [request.query.get("from") for request in server.requests] == [None, "5", "5", "5"]


@pytest.mark.parametrize("status", [401, 403, 404, 500])
async def test_a_refusal_is_one_line_and_exit_code_1(start: Start, status: int) -> None:
    _, url = await start(Behaviour(refuse=[status]))
    ending, out = await _watched(url)
    assert ending.code == 1
    assert str(url) in ending.message
    assert "\n" not in ending.message
    assert out == ""


async def test_a_run_that_is_refused_later_ends_it(start: Start) -> None:
    error = {"t": "err", "code": "RUN_NOT_FOUND", "msg": "no such run"}
    _, url = await start(Behaviour(between={0: [error]}, stop_after=0))
    ending, _ = await _watched(url)
    assert ending.code == 1
    assert "RUN_NOT_FOUND: no such run" in ending.message


@pytest.mark.parametrize(("code", "exit_code"), [(1000, 0), (4401, 1), (4429, 1)])
async def test_it_does_not_come_back_after_a_final_close(
    start: Start, code: int, exit_code: int
) -> None:
    server, url = await start(Behaviour(close_after=3, close_code=code))
    ending, _ = await _watched(url)
    assert ending.code == exit_code
    assert len(server.requests) == 1


async def test_an_absent_server_is_told(unused_tcp_port: int) -> None:
    ending, out = await _watched(URL(f"http://127.0.0.1:{unused_tcp_port}"))
    assert ending.code == 1
    assert "cannot be reached" in ending.message
    assert out == ""


# A terminal.


class Screen(io.StringIO):
    """What a terminal shows; can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._has_changed = asyncio.Event()

    def write(self, text: str) -> int:
        self._has_changed.set()
        return super().write(text)

    async def shows(self, text: str) -> None:
        while text not in self.getvalue():
            self._has_changed.clear()
            await self._has_changed.wait()


@dataclass
class Terminal:
    """A pty: `keys` is where a person types, `fd` what a program reads, `out` what it shows."""

    keys: int
    fd: int
    console: Console
    out: Screen

    def type(self, typed: bytes) -> None:
        os.write(self.keys, typed)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    keys, fd = pty.openpty()
    out = Screen()
    yield Terminal(keys, fd, Console(file=out, force_terminal=True, width=120), out)
    os.close(keys)
    os.close(fd)


async def test_keys_command_the_server_and_q_quits(start: Start, terminal: Terminal) -> None:
    server, url = await start(Behaviour(frames=1_000))
    before = termios.tcgetattr(terminal.fd)
    wish = Wish(run_id="r", url=url)
    viewer = TerminalViewer(
        wish, limits=WatchLimits(), console=terminal.console, keyboard=terminal.fd
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(viewer.run())
        await server.heard()
        terminal.type(b"+")
        await server.told("speed")
        terminal.type(b" ")
        await server.told("speed", "pause")
        terminal.type(b"\x1b[H ")
        await server.told("speed", "pause", "seek", "play")
        terminal.type(b"q")
    assert running.result() == Ending(0)
    assert termios.tcgetattr(terminal.fd) == before
    assert "space play/pause" in terminal.out.getvalue()


async def test_the_end_of_a_run_does_not_end_it_in_a_terminal(
    start: Start, terminal: Terminal
) -> None:
    server, url = await start(Behaviour(frames=5))
    wish = Wish(run_id="r", url=url)
    viewer = TerminalViewer(
        wish, limits=WatchLimits(), console=terminal.console, keyboard=terminal.fd
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(viewer.run())
        await terminal.out.shows("ended")
        terminal.type(b" ")
        await server.told("play")
        terminal.type(b"q")
    assert running.result() == Ending(0)


def test_a_terminal_that_is_gone_quits() -> None:
    keys, fd = pty.openpty()
    os.close(keys)
    assert watch_keys.read(fd) == [Key.QUIT]
    os.close(fd)


# The command.


async def _call(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(watch)
    # In a thread, as the command runs an event loop of its own.
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def test_the_command_prints_the_run_and_exits_with_0(start: Start) -> None:
    _, url = await start(Behaviour(frames=30, width=3))
    result = await _call("demo", "--url", str(url))
    assert result.exit_code == 0, result.output
    assert "merged 20" in result.stdout


async def test_the_command_says_on_stderr_why_it_failed(start: Start) -> None:
    _, url = await start(Behaviour(refuse=[404]))
    result = await _call("demo", "--url", str(url))
    assert result.exit_code == 1
    assert "knows no such run: demo" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments", [("--url", "localhost"), ("--frames", "0"), ("--token", "a\nb"), ("--spede", "2")]
)
async def test_the_command_misused_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    result = await _call("demo", *arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.strip()

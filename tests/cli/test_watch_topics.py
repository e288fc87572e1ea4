"""The terminal viewer of topics: its model and keys without a clock, itself over real sockets."""

import asyncio
import io
import os
import pty
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import typer
from aiohttp import web
from pytest_aiohttp import AiohttpServer
from rich.console import Console
from typer.testing import CliRunner, Result
from yarl import URL

from hewston_bff.cli.topic_viewer import TopicViewer
from hewston_bff.cli.viewing import Ending, WatchLimits
from hewston_bff.cli.watch import watch
from hewston_bff.errors import ApiKeyRequired
from hewston_bff.events.event import EntryId
from hewston_bff.events.source_state import Lost
from hewston_bff.tools.viewer.feed import TopicWish
from hewston_bff.tools.viewer.keys import Key
from hewston_bff.tools.viewer.topic_fields import level, main_fields
from hewston_bff.tools.viewer.topic_keys import topic_command
from hewston_bff.tools.viewer.topic_messages import decode
from hewston_bff.tools.viewer.topic_model import TopicsModel
from hewston_bff.tools.viewer.topic_view import age_text, topics_line, topics_panel
from tests.support import Bff, stack
from tests.topics.ticker_tape import TapeSource, tape_kind
from tests.waiting import eventually

TS = "2026-01-02T03:04:05.000000006Z"
QUOTE = "bus:data.quotes.SIM.EUR/USD"
FILL = "bus:events.fills.EUR/USD.SIM"


def event(topic: str, data: Any, *, n: int = 1, entry_id: str = "5-0") -> dict[str, Any]:
    return {
        "t": "event",
        "sid": 1,
        "topic": topic,
        "id": entry_id,
        "ts": TS,
        "type": "T",
        "data": data,
        "n": n,
    }


def model_of(*messages: dict[str, Any], now_s: float = 0.0) -> TopicsModel:
    model = TopicsModel("bus:*")
    feed(model, *messages, now_s=now_s)
    return model


def feed(model: TopicsModel, *messages: dict[str, Any], now_s: float = 0.0) -> None:
    for message in messages:
        decoded = decode(msgspec.json.encode(message))
        assert decoded is not None
        model.apply(decoded, now_s=now_s)


def shown(model: TopicsModel, *, height: int = 40, now_s: float = 0.0) -> str:
    console = Console(file=io.StringIO(), width=150, force_terminal=False)
    console.print(topics_panel(model, now_s=now_s, wall_ns=0, height=height, has_keys=True))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


SUBSCRIBED = {"t": "subscribed", "sid": 7, "topic": "bus:*", "status": "live", "mode": "latest"}


# The model.


def test_quotes_are_rows_and_fills_are_a_list() -> None:
    model = model_of(
        event(QUOTE, {"bid_price": "1.1"}),
        event(FILL, {"last_px": "1.1"}),
        event(QUOTE, {"bid_price": "1.2"}, n=4),
        event(FILL, {"last_px": "1.3"}),
    )
    assert [(row.name, row.events, row.direction) for row in model.rows.values()] == [(QUOTE, 5, 1)]
    assert [note.text for note in model.notes] == ["at 1.1", "at 1.3"]
    assert (model.messages, model.events) == (4, 7)


def test_what_the_server_merges_becomes_a_row_whatever_its_name() -> None:
    model = model_of(event("bus:signals", {"value": 1}), event("bus:signals", {"value": 2}, n=2))
    feed(model, event("bus:signals", {"value": 3}))
    assert list(model.rows) == ["bus:signals"]
    assert len(model.notes) == 1


def test_prices_go_up_and_down_and_a_change_is_marked_for_a_moment() -> None:
    model = model_of(event(QUOTE, {"bid_price": "1.2"}))
    row = model.rows[QUOTE]
    assert row.direction == 0
    feed(model, event(QUOTE, {"bid_price": "1.1"}), now_s=5.0)
    assert (row.direction, row.is_fresh(5.1), row.is_fresh(6.0)) == (-1, True, False)
    assert "▼" in shown(model, now_s=5.1)
    assert "▼" not in shown(model, now_s=6.0)


def test_the_rate_counts_merged_events() -> None:
    model = TopicsModel("bus:*")
    for at in range(60):
        feed(model, event(QUOTE, {}, n=3), now_s=at * 0.5)
    assert model.rows[QUOTE].rate_per_s(29.5) == pytest.approx(6.0, rel=0.1)
    assert model.rows[QUOTE].rate_per_s(100.0) < 0.01


def test_news_are_put_into_words() -> None:
    model = model_of(
        SUBSCRIBED | {"matches": 20_000, "broad": True, "recovered": False},
        {"t": "source", "kind": "bus", "status": "retrying", "attempt": 2, "retry_in_ms": 1800},
        {"t": "lag", "topic": "bus:*", "after": "5-0", "until": "9-0", "reason": "trimmed"},
        {"t": "source", "kind": "bus", "status": "silent", "heartbeat_age_ms": 9000},
        {"t": "bye", "code": 1012, "after_ms": 10},
    )
    assert model.sources == {"bus": "silent, heartbeat 9 s ago"}
    told = "\n".join(topics_line(note) for note in model.notes)
    for words in (
        "20,000 topics match",
        "missed",
        "retrying, attempt 2, again in 1.8 s",
        "after 5-0 until 9-0 are lost (trimmed)",
    ):
        assert words in told
    assert "lost 1 ×" in shown(model)
    assert "going down" in model.link


def test_another_connection_goes_on_after_the_last_event() -> None:
    model = TopicsModel("bus:*")
    assert model.resume_point is None
    feed(model, event(QUOTE, {}, entry_id="7-2"))
    assert model.resume_point == {"id": "7-2", "topic": QUOTE}


@pytest.mark.parametrize(
    ("data", "text", "of"),
    [
        ({"bid_price": "1.1", "ask_price": "1.2", "x": 1}, "bid 1.1  ask 1.2", 1.1),
        ({"Filled": {"order_side": "BUY", "last_px": "7"}}, "BUY  at 7", 7.0),
        ({"services": [{"name": "a", "status": "down"}]}, "a down", None),
        ({"balances": [{"total": "5.00", "currency": "USD"}]}, "5.00 USD", None),
        ({"status": "running", "progress": 0.3}, "running  progress 0.3", None),
        ({"odd": 1}, '{"odd":1}', None),
        ("mark 8", "mark 8", None),
        ("two\nlines\x1b[2J", "two lines [2J", None),
        ({"price": "none"}, "price none", None),
        (None, "null", None),
    ],
)
def test_the_main_members_of_data_are_shown(data: Any, text: str, of: float | None) -> None:
    assert (main_fields(data), level(data)) == (text, of)


def test_long_data_is_cut() -> None:
    assert len(main_fields("x" * 5_000)) == 90


# The view.


def test_a_line_tells_the_event() -> None:
    model = model_of(event(QUOTE, {"bid_price": "1.1"}, n=3))
    assert topics_line(model.unprinted[0]) == f"{TS}  {QUOTE}  T  bid 1.1  n=3"


@pytest.mark.parametrize("height", [5, 20, 40])
def test_it_fits_the_screen_and_the_table_scrolls(height: int) -> None:
    model = model_of(SUBSCRIBED)
    for at in range(100):
        feed(model, event(f"bus:data.quotes.{at:03}", {"bid_price": at}))
        feed(model, event(FILL, {"last_px": at}))
    text = shown(model, height=height)
    assert text.count("\n") <= max(height, 14)
    assert "data.quotes.000" in text
    model.scroll(95)
    text = shown(model, height=height)
    assert "data.quotes.095" in text
    assert "data.quotes.000" not in text
    model.scroll(1_000)
    assert "data.quotes.099" in shown(model, height=height)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0.4 s"), (59, "59 s"), (600, "10 min"), (10_800, "3 h")]
)
def test_ages_are_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert age_text("1970-01-01T00:00:10Z", int((10 + seconds) * 1e9)) == text


def test_an_age_is_never_negative_and_may_be_unknown() -> None:
    assert age_text("1970-01-01T00:00:10Z", 0) == "0.0 s"
    assert age_text("", 0) == "–"


# The keys.


def test_keys_are_commands_or_scroll() -> None:
    model = TopicsModel("bus:*")
    assert topic_command(Key.TOGGLE, model) is None
    feed(model, SUBSCRIBED, *(event(f"{QUOTE}{at}", {}) for at in range(50)))
    sent = [topic_command(key, model) for key in (Key.TOGGLE, Key.LIVE)]
    assert [msgspec.json.decode(data or b"") for data in sent] == [
        {"t": "ctrl", "cmd": cmd, "sid": 7} for cmd in ("pause", "live")
    ]
    feed(model, {"t": "state", "status": "paused", "position": None})
    assert b'"play"' in (topic_command(Key.TOGGLE, model) or b"")
    assert topic_command(Key.FASTER, model) is None
    offsets = []
    for key in (Key.DOWN, Key.SEEK_ON, Key.SEEK_ON, Key.SEEK_ON, Key.UP, Key.START):
        assert topic_command(key, model) is None
        offsets.append(model.offset)
    assert offsets == [1, 21, 41, 49, 48, 0]


# The viewer over real sockets.


@pytest.fixture
async def bus() -> AsyncIterator[tuple[Bff, TapeSource]]:
    async with stack() as (bff, _, _):
        sources: list[TapeSource] = []
        bff.hub.events.register(tape_kind(sources))
        sources[0].open()
        yield bff, sources[0]


def viewer_at(bff: Bff, out: io.StringIO, *, limits: WatchLimits, **wishes: Any) -> TopicViewer:
    wish = TopicWish(url=URL(bff.url), **wishes)
    return TopicViewer(wish, limits=limits, console=Console(file=out))


async def test_without_a_terminal_it_prints_a_line_for_each_event(
    bus: tuple[Bff, TapeSource],
) -> None:
    bff, tape = bus
    for _ in range(3):
        tape.publish("fills.A", "quotes.A", "quotes.A")
    out = io.StringIO()
    limits = WatchLimits(frames=9)
    ending = await viewer_at(
        bff, out, limits=limits, topic="bus:*", mode="all", start="start"
    ).run()
    assert ending == Ending(0)
    lines = out.getvalue().splitlines()
    values = [int(each.rpartition(" ")[2]) for each in lines if not each.startswith("#")]
    assert values == list(range(9))
    assert lines[0].split()[1:] == ["bus:fills.A", "Tick", "0"]


async def test_it_prints_no_more_events_than_were_asked_for(bus: tuple[Bff, TapeSource]) -> None:
    bff, tape = bus
    tape.publish(*["fills.A"] * 50)
    out = io.StringIO()
    viewer = viewer_at(bff, out, limits=WatchLimits(frames=4), topic="bus:*", start="start")
    assert await viewer.run() == Ending(0)
    assert out.getvalue().count("bus:fills.A") == 4


async def test_lost_events_are_told_in_their_place(bus: tuple[Bff, TapeSource]) -> None:
    bff, tape = bus
    tape.publish("fills.A")
    tape.intake.lost(Lost(EntryId(1_001, 0), EntryId(1_005, 0)))
    tape.publish("fills.A")
    out = io.StringIO()
    viewer = viewer_at(bff, out, limits=WatchLimits(frames=2), topic="bus:fills.?", start="start")
    assert await viewer.run() == Ending(0)
    kinds = [each.split()[1] for each in out.getvalue().splitlines()]
    assert kinds == ["bus:fills.A", "lag:", "bus:fills.A"]


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"topic": "job:*"}, "FEATURE_DISABLED"),
        ({"topic": "bus:"}, "VALIDATION"),
        ({"topic": "bus:a", "start": "yesterday"}, "VALIDATION"),
    ],
)
async def test_a_refusal_is_one_line_and_exit_code_1(
    bus: tuple[Bff, TapeSource], wishes: dict[str, str], words: str
) -> None:
    out = io.StringIO()
    ending = await viewer_at(bus[0], out, limits=WatchLimits(20), **wishes).run()
    assert ending.code == 1
    assert words in ending.message
    assert "\n" not in ending.message
    assert out.getvalue() == ""


async def test_after_a_loss_it_subscribes_again_after_the_last_event(
    aiohttp_server: AiohttpServer,
) -> None:
    asked: list[dict[str, Any]] = []
    keys: list[str | None] = []

    async def stream(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        keys.append(request.headers.get("X-API-Key"))
        asked.append(await ws.receive_json())
        await ws.send_json(SUBSCRIBED)
        await ws.send_json(event(FILL, {"value": 1}, entry_id=f"{len(asked)}-0"))
        await ws.send_json({"t": "bye", "code": 1012, "after_ms": 5})
        await ws.close(code=1012)
        return ws

    app = web.Application()
    app.router.add_get("/api/v1/stream", stream)
    server = await aiohttp_server(app)
    wish = TopicWish(topic="bus:*", url=server.make_url("/"), mode="all", max_fps=5, api_key="k1")
    console = Console(file=io.StringIO())
    ending = await TopicViewer(wish, limits=WatchLimits(frames=3), console=console).run()
    assert ending == Ending(0)
    first = {"t": "subscribe", "topic": "bus:*", "mode": "all", "max_fps": 5}
    resumes = [{"id": f"{at}-0", "topic": FILL} for at in (1, 2)]
    assert asked == [first, *(first | {"resume": each} for each in resumes)]
    assert keys == ["k1"] * 3


async def test_keys_pause_and_go_on_in_a_terminal(bus: tuple[Bff, TapeSource]) -> None:
    bff, tape = bus
    keys, fd = pty.openpty()
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, height=30)
    wish = TopicWish(topic="bus:*", url=URL(bff.url), mode="all")
    viewer = TopicViewer(wish, limits=WatchLimits(), console=console, keyboard=fd)
    (channel,) = bff.hub.events

    def status() -> set[str]:
        return {getattr(listener, "status", "") for listener in channel.listeners}

    async with asyncio.TaskGroup() as group:
        running = group.create_task(viewer.run())
        await eventually(lambda: status() == {"live"})
        tape.publish("quotes.A", "fills.A")
        await eventually(lambda: "bus:fills.A" in out.getvalue())
        os.write(keys, b" ")
        await eventually(lambda: status() == {"paused"})
        await eventually(lambda: "paused" in out.getvalue())
        os.write(keys, b" ")
        await eventually(lambda: status() == {"live"})
        os.write(keys, b"q")
    assert running.result() == Ending(0)
    assert "space pause/play" in out.getvalue()
    for end in (keys, fd):
        os.close(end)


# The command.


async def call(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(watch)
    # In a thread, as the command runs an event loop of its own.
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def test_the_command_tells_topics_from_runs(bus: tuple[Bff, TapeSource]) -> None:
    bff, tape = bus
    tape.publish("quotes.A", "quotes.B")
    result = await call("bus:quotes.*", "--url", bff.url, "--events", "2", "--fps", "0.5")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("bus:quotes.") == 2


async def test_who_needs_a_key_is_told_how_to_give_one() -> None:
    async with stack() as (bff, _, _):
        kind = tape_kind([], refusal=lambda _: ApiKeyRequired("an API key is needed"))
        bff.hub.events.register(kind)
        result = await call("bus:*", "--url", bff.url)
    assert result.exit_code == 1
    told = " ".join(result.output.split())
    assert told.endswith("says UNAUTHORIZED: an API key is needed (pass --api-key)")


@pytest.mark.parametrize(
    "arguments",
    [
        ("shelf:a",),
        ("bus:a", "--speed", "2"),
        ("bus:a", "--mode", "merge"),
        ("bus:a", "--api-key", "a\nb"),
        ("a-run", "--mode", "all"),
        ("a-run", "--fps", "0.5"),
    ],
)
async def test_the_command_misused_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    result = await call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.strip()

"""Probes on real sockets, and the events of what they find."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import structlog

from hewston_bff.credentials import ApiCaller
from hewston_bff.events.event import FIRST_ID, EntryId, Event
from hewston_bff.events.source_state import HistoryPage, Lost, SourceLink
from hewston_bff.net.clock import now_ms
from hewston_bff.net.http_probe import http_probes
from hewston_bff.tasks import running
from hewston_bff.topics.system.kind import system_kind
from hewston_bff.topics.system.services import Services
from hewston_bff.topics.system.statuses import ProbeOutcome
from tests.platform_service import (
    Misbehaviour,
    answers,
    hangs_up,
    is_silent,
    platform_service,
    pours,
    raves,
    says,
    stops_in_its_body,
)
from tests.support import free_port
from tests.waiting import eventually

UNHURRIED_S = 60.0
SECRET = "opensesame"


def _ended(error: BaseException) -> None:
    raise error


@asynccontextmanager
async def probing(
    services: Sequence[tuple[str, str]], *, within_s: float = UNHURRIED_S
) -> AsyncIterator[Services]:
    """The services, probed without a pause."""
    async with http_probes(services) as probes:
        found = Services(probes, now_ms=now_ms, every_s=0.01, within_s=within_s)
        async with running(found.run(), name="services", crashed=_ended):
            yield found


async def _outcome(url: str, *, within_s: float = UNHURRIED_S) -> ProbeOutcome:
    async with http_probes([("it", url)]) as probes:
        return await probes[0].ask(within_s=within_s)


def _row(services: Services, name: str) -> Any:
    return next(row for row in services.known().services if row.name == name)


@pytest.mark.parametrize(
    ("misbehaviour", "expected"),
    [
        (says({"status": "ok"}), (200, "ok", None)),
        (says({"status": "degraded"}), (200, "degraded", None)),
        (says({"status": {"code": 1}}), (200, None, None)),
        (says(["status"]), (200, None, None)),
        (answers("OK"), (200, None, None)),
        (answers("{", content_type="application/json"), (200, None, None)),
        (pours, (200, None, None)),
        (says({"status": "ok"}, status=503), (503, None, None)),
        (answers("", status=302, location="http://127.0.0.1:1/"), (302, None, None)),
        (hangs_up, (None, None, "cut")),
        (raves, (None, None, "unreadable")),
    ],
)
async def test_a_probe_tells_what_a_service_answered_or_why_it_did_not(
    misbehaviour: Misbehaviour, expected: tuple[int | None, str | None, str | None]
) -> None:
    async with platform_service() as service:
        service.answer = misbehaviour
        found = await _outcome(service.url + "/health")
        assert (found.http_status, found.said, found.failure) == expected
        assert (found.latency_ms is None) == (expected[2] is not None)
        assert len(service.requests) == 1


@pytest.mark.parametrize("misbehaviour", [is_silent, stops_in_its_body])
async def test_a_service_that_does_not_come_to_an_end_is_not_waited_for(
    misbehaviour: Misbehaviour,
) -> None:
    async with platform_service() as service:
        service.answer = misbehaviour
        assert (await _outcome(service.url, within_s=0.2)).failure == "timeout"


async def test_a_service_that_is_not_there_is_unreachable() -> None:
    assert (await _outcome(f"http://127.0.0.1:{free_port()}")).failure == "unreachable"
    assert (await _outcome("http://no-such-host.invalid/")).failure == "unknown_host"
    async with platform_service() as service:
        named = service.url.replace("127.0.0.1", "localhost")
        assert (await _outcome(named)).http_status == 200
        secure = service.url.replace("http:", "https:")
        assert (await _outcome(secure)).failure in {"certificate", "unreachable"}


async def test_a_password_in_the_address_is_used_and_never_told() -> None:
    async with platform_service() as service:
        url = service.url.replace("//", f"//us:{SECRET}@")
        with structlog.testing.capture_logs() as logs:
            async with probing([("mcp", f"{url}/health?key={SECRET}")]) as services:
                await eventually(services.rows)
                assert "Basic " in service.requests[0]
                service.answer = hangs_up
                await eventually(lambda: _row(services, "mcp").status == "down")
                await service.stop()
                await eventually(lambda: "accepts" in _row(services, "mcp").detail)
                told = repr(services.known())
        assert SECRET not in told + str(logs)
        assert "127.0.0.1" not in told


async def test_a_slow_service_is_asked_by_one_probe_at_a_time_and_disturbs_no_other() -> None:
    async with platform_service() as slow, platform_service() as quick:
        slow.answer = is_silent
        async with probing([("slow", slow.url), ("quick", quick.url)]) as services:
            await eventually(lambda: len(quick.requests) > 20)
            assert len(slow.requests) == 1
            assert services.rows() is None, "one of them was never checked"
            assert _row(services, "slow").detail == "not checked yet"
            assert _row(services, "quick").status == "ok"
        assert slow.most_at_once == 1


# -- the source of events


class Intake:
    """Remembers what a source gives to the hub."""

    def __init__(self) -> None:
        self.begun: list[tuple[tuple[Event, ...], tuple[Event, ...], EntryId, int]] = []
        self.events: list[Event] = []
        self.links: list[SourceLink] = []

    def begin(
        self,
        remembered: Sequence[Event],
        held: Sequence[Event],
        *,
        floor: EntryId,
        skew_ms: int,
    ) -> None:
        self.begun.append((tuple(remembered), tuple(held), floor, skew_ms))
        self.events.extend(held)

    def publish(self, events: Sequence[Event]) -> None:
        assert self.begun
        self.events.extend(events)

    def lost(self, lost: Lost, topics: Callable[[str], bool] | None = None) -> None:
        raise AssertionError(lost, topics)

    def link(self, link: SourceLink) -> None:
        self.links.append(link)

    def statuses(self) -> list[dict[str, str]]:
        """Name → status of each event."""
        told = [msgspec.json.decode(event.data)["services"] for event in self.events]
        return [{row["name"]: row["status"] for row in rows} for rows in told]


@asynccontextmanager
async def publishing(services: Services) -> AsyncIterator[Intake]:
    """The events of services."""
    kind = system_kind(services, refusal=lambda _: None, now_ms=now_ms)
    assert (kind.name, kind.default_mode) == ("system", "latest")
    assert kind.is_mergeable("status")
    assert kind.refusal(ApiCaller()) is None
    intake = Intake()
    async with running(kind.open(intake).run(), name="source", crashed=_ended):
        await eventually(lambda: intake.links)
        yield intake


async def test_a_service_that_goes_down_and_comes_back_is_two_events() -> None:
    async with platform_service() as mcp, platform_service() as onnx:
        async with (
            probing([("mcp", mcp.url), ("onnx", onnx.url)]) as services,
            publishing(services) as intake,
        ):
            await eventually(lambda: intake.events)
            await mcp.stop()
            await eventually(lambda: len(intake.events) == 2)
            asked = len(onnx.requests)
            await eventually(lambda: len(onnx.requests) > asked + 5)
            await mcp.start()
            await eventually(lambda: len(intake.events) == 3)
            asked = len(mcp.requests)
            await eventually(lambda: len(mcp.requests) > asked + 5)
    assert intake.statuses() == [
        {"mcp": "ok", "onnx": "ok"},
        {"mcp": "down", "onnx": "ok"},
        {"mcp": "ok", "onnx": "ok"},
    ]
    ids = [event.id for event in intake.events]
    assert ids == sorted(set(ids))
    assert {event.topic for event in intake.events} == {"system:status"}
    assert intake.links == [SourceLink("up")]


async def test_what_is_known_already_is_what_a_source_begins_with() -> None:
    async with platform_service() as service:
        service.answer = says({"status": "warn"})
        async with probing([("mcp", service.url)]) as services:
            await eventually(services.rows)
            async with publishing(services) as intake:
                ((remembered, held, floor, skew_ms),) = intake.begun
                assert (remembered, skew_ms) == ((), 0)
                assert intake.statuses() == [{"mcp": "degraded"}]
                assert floor < held[0].id


async def test_what_the_hub_has_no_longer_is_lost_and_nothing_is_missing_from_the_start() -> None:
    services = Services([], now_ms=now_ms)
    kind = system_kind(services, refusal=lambda _: None, now_ms=now_ms)
    source = kind.open(Intake())

    async def pages(after: EntryId, *, wanted: bool = True) -> list[HistoryPage]:
        found = source.history(after, EntryId(9, 0), lambda name: wanted and name == "status")
        return [page async for page in found]

    lost = Lost(EntryId(5, 0), EntryId(8, (1 << 64) - 1))
    assert await pages(EntryId(5, 0)) == [HistoryPage((), lost)]
    assert await pages(EntryId(5, 0), wanted=False) == []
    assert await pages(FIRST_ID) == []


@pytest.mark.looptime
async def test_a_service_is_probed_every_five_seconds_and_given_two() -> None:
    loop = asyncio.get_running_loop()
    asked: list[tuple[float, float]] = []

    class Slow:
        name = "slow"

        async def ask(self, *, within_s: float) -> ProbeOutcome:
            asked.append((loop.time(), within_s))
            await asyncio.sleep(within_s if len(asked) < 3 else 7.0)
            return ProbeOutcome(failure="timeout")

    services = Services([Slow()], now_ms=now_ms)
    async with running(services.run(), name="services", crashed=_ended):
        await asyncio.sleep(18.0)
    began_s = asked[0][0]
    assert [(at_s - began_s, within_s) for at_s, within_s in asked] == [
        *((0.0, 2.0), (5.0, 2.0), (10.0, 2.0)),
        (17.0, 2.0),
    ]

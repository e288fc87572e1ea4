"""The hub on a clock of its own: who gets a source, how long it stays, what memory holds."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

import looptime
import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hewston_bff.credentials import Credentials
from hewston_bff.errors import BffError, Forbidden, LimitReached
from hewston_bff.hub.hub import Hub, HubOptions
from hewston_bff.hub.permits import PermitTimes
from hewston_bff.hub.subscription import Subscription
from hewston_bff.hub.viewer import SubscriptionOptions
from hewston_bff.protocol.commands import Subscribe
from hewston_bff.protocol.ids import RunId
from hewston_bff.protocol.topics import RUN, Topic
from hewston_bff.protocol.updates import updates_of
from hewston_bff.topics.run.kind import RunKind
from tests.hub.support import MemorySink
from tests.topics.run.scripted import ScriptedBackend, runs_of

ANN, BOB = Credentials("Bearer ann"), Credentials("Bearer bob")
DAY = RunId("day")
LINGER_S = 6.0


class Watched:
    """One viewer of one run, at the hub."""

    def __init__(self, hub: Hub, run_id: RunId, credentials: Credentials) -> None:
        self.hub = hub
        self.run_id = run_id
        self.sink = MemorySink()
        self.refusal: BffError | None = None
        topic = Topic(RUN, run_id)
        permit = hub.acquire(topic, credentials)
        request = msgspec.convert(
            {"t": "subscribe", "run_id": run_id, "mode": "all", "speed": 0}, Subscribe
        )
        options = SubscriptionOptions(
            sid=None, request=request, start=None, updates=updates_of(request)
        )
        self.listener = Subscription(
            hub.audience(topic), permit, self.sink, options=options, refused=self._refused
        )
        hub.add(self.listener)

    def _refused(self, _: Subscription, error: BffError) -> None:
        self.refusal = error
        self.leave()

    def leave(self) -> None:
        self.hub.remove(self.listener)
        self.hub.release(self.listener.permit)

    def seqs(self) -> list[int]:
        return [message["seq"] for message in self.sink.frames()]


@asynccontextmanager
async def hub_of(kind: RunKind, **options: object) -> AsyncIterator[Hub]:
    """A running hub; at its end nothing of it is left."""
    hub = Hub([kind], options=HubOptions(linger_s=LINGER_S, **options))  # type: ignore[arg-type]
    before = asyncio.all_tasks()
    task = asyncio.get_running_loop().create_task(hub.run())
    await asyncio.sleep(0)
    try:
        yield hub
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert asyncio.all_tasks() == before


@pytest.mark.looptime
async def test_a_run_has_one_source_however_many_watch_and_a_reload_costs_nothing() -> None:
    backend = ScriptedBackend()
    async with hub_of(runs_of(backend)) as hub:
        backend.grow(DAY, 100)
        viewers = [Watched(hub, DAY, ANN) for _ in range(5)]
        await asyncio.sleep(2)
        assert all(viewer.seqs() == list(range(100)) for viewer in viewers)
        for viewer in viewers:
            viewer.leave()
        await asyncio.sleep(LINGER_S - 1)
        again = Watched(hub, DAY, ANN)
        await asyncio.sleep(LINGER_S)
        assert again.seqs() == list(range(100))
        assert (backend.opened[DAY], len(backend.open[DAY])) == (1, 1)
        again.leave()
        await asyncio.sleep(LINGER_S + 1)
        assert not backend.open[DAY]


@pytest.mark.looptime
async def test_each_viewer_needs_the_sources_yes_and_a_later_no_is_his_alone() -> None:
    backend = ScriptedBackend()
    backend.grow(DAY, 10)
    backend.refused[BOB.key] = Forbidden("planted")
    async with hub_of(runs_of(backend)) as hub:
        ann, bob = Watched(hub, DAY, ANN), Watched(hub, DAY, BOB)
        await asyncio.sleep(2)
        assert isinstance(bob.refusal, Forbidden)
        assert bob.seqs() == []
        backend.refused[ANN.key] = Forbidden("planted")
        del backend.refused[BOB.key]
        bob = Watched(hub, DAY, BOB)
        await asyncio.sleep(31)
        assert isinstance(ann.refusal, Forbidden)
        backend.grow(DAY, 10)
        await asyncio.sleep(1)
        assert (ann.seqs(), bob.seqs()) == (list(range(10)), list(range(20)))
        bob.leave()


@pytest.mark.looptime
async def test_a_yes_is_asked_for_again_and_lasts_through_an_outage_but_not_for_ever() -> None:
    backend = ScriptedBackend()
    backend.grow(DAY, 10)
    async with hub_of(runs_of(backend), permits=PermitTimes(fresh_s=3.0, stale_s=60.0)) as hub:
        ann = Watched(hub, DAY, ANN)
        await asyncio.sleep(2.5)
        asked = backend.asked[DAY]
        Watched(hub, DAY, ANN).leave()
        assert backend.asked[DAY] == asked
        await asyncio.sleep(1)
        assert backend.asked[DAY] > asked
        backend.is_down = True
        granted = []
        for wait_s in (40, 45):
            await asyncio.sleep(wait_s)
            granted.append(ann.listener.permit.is_granted)
        assert granted == [True, False]
        state = [message for message in ann.sink.seen if message["t"] == "state"][-1]
        assert (state["status"], state["live_edge"]) == ("buffering", -1)
        backend.is_down = False
        await asyncio.sleep(30)
        granted.append(ann.listener.permit.is_granted)
        assert granted[-1]
        ann.leave()


@pytest.mark.looptime
async def test_unwatched_logs_go_first_and_then_new_runs_are_refused() -> None:
    backend = ScriptedBackend()
    runs = [RunId(name) for name in "abcdef"]
    for run_id in runs:
        backend.grow(run_id, 600)
    async with hub_of(runs_of(backend), log_bytes=600_000) as hub:
        first = Watched(hub, runs[0], ANN)
        await asyncio.sleep(2)
        each = hub.log_bytes
        first.leave()
        second = Watched(hub, runs[1], ANN)
        others = []
        for run_id in runs[2:4]:
            others.append(Watched(hub, run_id, ANN))
            await asyncio.sleep(2)
        assert hub.log_bytes <= 600_000 + each
        assert runs[0] not in {topic.run_id for topic in hub.stats().topics}
        for viewer in (second, *others):
            viewer.sink.is_slow = True
            viewer.leave()
        await asyncio.sleep(1)
        assert hub.log_bytes <= 600_000


@pytest.mark.looptime
async def test_a_hub_that_is_full_of_watched_runs_refuses_another_and_says_why() -> None:
    backend = ScriptedBackend()
    backend.grow(DAY, 1_000)
    async with hub_of(runs_of(backend), log_bytes=50_000) as hub:
        viewer = Watched(hub, DAY, ANN)
        viewer.sink.is_slow = True
        await asyncio.sleep(5)
        with pytest.raises(LimitReached, match="stop watching one"):
            hub.acquire(Topic(RUN, "another"), ANN)
        viewer.leave()


@pytest.mark.looptime
async def test_frames_come_once_and_in_order_over_cuts_and_an_outage() -> None:
    backend = ScriptedBackend()
    async with hub_of(runs_of(backend)) as hub:
        viewer = Watched(hub, DAY, ANN)
        for _ in range(10):
            backend.grow(DAY, 50)
            await asyncio.sleep(1)
            backend.cut(DAY)
            backend.is_down = True
            await asyncio.sleep(2)
            backend.is_down = False
            await asyncio.sleep(5)
        assert viewer.seqs() == list(range(500))
        assert backend.most_open[DAY] == 1
        viewer.leave()


class HubMachine(RuleBasedStateMachine):
    """Viewers come and go, the backend breaks and mends; sources are open exactly while wanted."""

    RUNS = (RunId("a"), RunId("b"), RunId("c"))

    def __init__(self) -> None:
        super().__init__()
        self.loop = looptime.patch_event_loop(asyncio.SelectorEventLoop())
        self.backend = ScriptedBackend()
        self.viewers: list[Watched] = []
        self.left_s: dict[RunId, float] = {}
        self.is_settled = True
        options = HubOptions(linger_s=LINGER_S, permits=PermitTimes(backoff_cap_s=2.0))
        self.hub = Hub([runs_of(self.backend)], options=options)
        self.task = self.loop.create_task(self.hub.run())
        self.pass_time(0.1)

    def pass_time(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def do(self, act: Coroutine[None, None, None]) -> None:
        self.loop.run_until_complete(act)

    @rule(run=st.sampled_from(RUNS), by=st.sampled_from([ANN, BOB]))
    def come(self, run: RunId, by: Credentials) -> None:
        async def act() -> None:
            self.viewers.append(Watched(self.hub, run, by))

        self.do(act())
        self.left_s.pop(run, None)
        self.is_settled = False

    @rule(n=st.integers(0, 9))
    def go(self, n: int) -> None:
        if n >= len(self.viewers):
            return
        viewer = self.viewers.pop(n)

        async def act() -> None:
            viewer.leave()

        self.do(act())
        if not any(each.run_id == viewer.run_id for each in self.viewers):
            self.left_s[viewer.run_id] = self.loop.time()
        self.is_settled = False

    @rule(run=st.sampled_from(RUNS), count=st.integers(1, 400))
    def grow(self, run: RunId, count: int) -> None:
        if self.backend.status[run] == "RUNNING":
            self.backend.grow(run, count)

    @rule(run=st.sampled_from(RUNS))
    def cut(self, run: RunId) -> None:
        self.backend.cut(run)
        self.is_settled = False

    @rule(is_down=st.booleans())
    def outage(self, is_down: bool) -> None:  # noqa: FBT001 - a strategy's value
        self.backend.is_down = is_down
        self.is_settled = False

    @rule(seconds=st.sampled_from([0.01, 0.5, 5.0, 7.0]))
    def wait(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule()
    def settle(self) -> None:
        """Long enough for every wait to be over; not for a linger that has just begun."""
        self.backend.is_down = False
        self.pass_time(15.0)
        self.is_settled = True
        now_s = self.loop.time()
        for run in self.RUNS:
            is_watched = any(viewer.run_id == run for viewer in self.viewers)
            left_s = self.left_s.get(run)
            if is_watched:
                assert len(self.backend.open[run]) == 1
            elif left_s is None or now_s > left_s + LINGER_S + 1:
                assert not self.backend.open[run]
        for viewer in self.viewers:
            assert viewer.seqs() == list(range(self.backend.frames[viewer.run_id]))

    @invariant()
    def never_two_sources_of_a_run(self) -> None:
        assert all(most <= 1 for most in self.backend.most_open.values())

    def teardown(self) -> None:
        """At the end no task and no source is left."""

        async def act() -> None:
            for viewer in self.viewers:
                viewer.leave()

        self.do(act())
        self.pass_time(LINGER_S + 5)
        assert not any(self.backend.open.values())
        self.task.cancel()
        self.loop.run_until_complete(asyncio.wait([self.task]))
        assert not asyncio.all_tasks(self.loop)
        self.loop.close()


TestHubMachine = HubMachine.TestCase
TestHubMachine.settings = settings(
    max_examples=12, stateful_step_count=15, deadline=None, phases=[Phase.generate]
)

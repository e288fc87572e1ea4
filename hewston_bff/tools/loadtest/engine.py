"""Carries a plan out: lets clients arrive by schedule, measures a window, sends all home.

The schedule is open: a client arrives when its time has come, whether or not those before it got
in, and its stream start counts from that time. A server that is slow to let clients in can't slow
down the test that would show it.
"""

import asyncio
import errno
import resource
from collections.abc import Callable
from time import monotonic_ns, process_time
from typing import NamedTuple

from hewston_bff.tools.loadtest.client import Client, EventsClient, Shared, SocketClient
from hewston_bff.tools.loadtest.cpu import NoSuchProcess, cpu_s
from hewston_bff.tools.loadtest.histogram import Histogram
from hewston_bff.tools.loadtest.plan import BadPlan, Plan
from hewston_bff.tools.loadtest.record import StreamRecord
from hewston_bff.tools.loadtest.report import Report, Window, report
from hewston_bff.tools.loadtest.tally import Tally

ANSWER_TIMEOUT_S = 30.0
LEAVE_TIMEOUT_S = 2.0
TICK_S = 0.1
NO_ANSWER = "no answer"
_SPARE_DESCRIPTORS = 64


class LoadProgress(NamedTuple):
    """How far a test is; `messages` and `events` are of the window once it `is_measuring`.

    `events`: what messages with events of topics stand for.
    """

    elapsed_s: float
    total_s: float
    connected: int
    failed: int
    messages: int
    events: int
    is_measuring: bool


class LoadTest:
    """One load test, to be run once. `pids` are the server's processes, for its CPU."""

    def __init__(
        self,
        plan: Plan,
        *,
        pids: tuple[int, ...] = (),
        on_progress: Callable[[LoadProgress], None] | None = None,
    ) -> None:
        self._plan = plan
        self._pids = pids
        self._on_progress = on_progress
        self._tally = Tally()
        headers = plan.headers()
        self._shared = Shared(headers=headers, tally=self._tally)
        self._clients: list[Client] = []
        self._began_s = 0.0
        self._is_stopped = False
        self._is_measuring = False
        self._waiting = 0

    @property
    def gaps(self) -> Histogram:
        """The gaps between frames of the window, for a picture."""
        return self._tally.gaps

    def stop(self) -> None:
        """End the window now and report what there is."""
        self._is_stopped = True

    async def run(self) -> Report:
        """Run the test. A cancellation loses its figures and drops all sockets.

        Raises:
            BadPlan: more clients than this process may have sockets.
            NoSuchProcess: one of the server's processes is not there at the start.
        """
        plan = self._plan
        _raise_descriptor_limit(plan.clients)
        cpu_s(self._pids)
        self._began_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.TaskGroup() as group:
                arrivals = group.create_task(self._arrivals(), name="arrivals")
                await self._until(plan.window_begins_s)
                found = await self._measure()
                arrivals.cancel()
            await self._leave()
        finally:
            for client in self._clients:
                client.abort()
        return found

    async def _arrivals(self) -> None:
        loop = asyncio.get_running_loop()
        plan = self._plan
        began_ns = monotonic_ns()
        async with asyncio.TaskGroup() as group:
            for index in range(plan.clients):
                arrival_s = plan.arrival_s(index)
                wait_s = self._began_s + arrival_s - loop.time()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                due_ns = began_ns + round(arrival_s * 1e9)
                group.create_task(self._arrive(index, due_ns=due_ns), name=f"client {index}")

    async def _arrive(self, index: int, *, due_ns: int) -> None:
        target = self._plan.target(index)
        streams = [StreamRecord(run_id, due_ns=due_ns) for run_id in target.runs]
        tally = self._tally
        client: Client
        if self._plan.endpoint.is_websocket:
            topics = [tally.topic_stream(pattern, due_ns=due_ns) for pattern in target.topics]
            client = SocketClient(target, streams=streams, shared=self._shared, topics=topics)
        else:
            client = EventsClient(target, streams=streams, shared=self._shared)
        tally.arrived += 1
        tally.streams.extend(streams)
        self._clients.append(client)
        self._waiting += 1
        refusal = NO_ANSWER
        try:
            refusal = await self._connect(client)
        except TimeoutError:
            client.abort()
        except ConnectionError as exc:
            refusal = errno.errorcode.get(exc.errno or 0, type(exc).__name__)
        except OSError as exc:
            refusal = type(exc).__name__
        self._waiting -= 1
        if refusal:
            tally.failed[refusal] += 1

    async def _connect(self, client: Client) -> str:
        plan = self._plan
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await asyncio.get_running_loop().create_connection(
                lambda: client, plan.host, plan.port, ssl=plan.is_secure or None
            )
            return await client.opened

    async def _until(self, at_s: float) -> None:
        """Wait for a moment of the schedule; shorter if nobody is left or it was stopped."""
        loop = asyncio.get_running_loop()
        tally, plan = self._tally, self._plan
        total_s = plan.window_begins_s + plan.seconds
        while not self._is_stopped and not self._is_hopeless:
            elapsed_s = loop.time() - self._began_s
            tally.flush()
            if self._on_progress is not None:
                self._on_progress(
                    LoadProgress(
                        elapsed_s=elapsed_s,
                        total_s=total_s,
                        connected=tally.connected,
                        failed=sum(tally.failed.values()),
                        messages=tally.messages + tally.event_messages,
                        events=sum(stream.events for stream in tally.topics),
                        is_measuring=self._is_measuring,
                    )
                )
            if elapsed_s >= at_s:
                return
            await asyncio.sleep(min(TICK_S, at_s - elapsed_s))

    @property
    def _is_hopeless(self) -> bool:
        has_all = self._tally.arrived == self._plan.clients and not self._waiting
        return has_all and not self._tally.connected

    async def _measure(self) -> Report:
        """Measure the window. The report is made in its last moment: frames go on coming."""
        loop = asyncio.get_running_loop()
        plan, tally = self._plan, self._tally
        tally.begin_window()
        self._is_measuring = True
        began_s, own_s, server_s = loop.time(), process_time(), self._server_cpu_s()
        await self._until(plan.window_begins_s + plan.seconds)
        seconds, own_after_s = loop.time() - began_s, process_time()
        server_after_s = self._server_cpu_s()
        median_ns = tally.gaps.percentile_ns(50)
        expected_ns = plan.expected_gap_ns(median_ns=median_ns)
        tally.end_window(monotonic_ns(), expected_ns=expected_ns or median_ns)
        if self._waiting:
            tally.failed[NO_ANSWER] += self._waiting
        is_known = server_s is not None and server_after_s is not None
        window = Window(
            seconds=seconds,
            own_cpu_s=own_after_s - own_s,
            server_cpu_s=(server_after_s or 0.0) - (server_s or 0.0) if is_known else None,
            expected_gap_ns=expected_ns,
        )
        return report(plan, tally, window)

    def _server_cpu_s(self) -> float | None:
        try:
            return cpu_s(self._pids) if self._pids else None
        except NoSuchProcess:
            return None

    async def _leave(self) -> None:
        for client in self._clients:
            client.leave()
        if closed := [client.closed for client in self._clients]:
            await asyncio.wait(closed, timeout=LEAVE_TIMEOUT_S)


def _raise_descriptor_limit(clients: int) -> None:
    needed = clients + _SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and needed > hard:
        problem = f"{clients} clients need {needed} descriptors; this system allows {hard}"
        raise BadPlan(problem)
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))

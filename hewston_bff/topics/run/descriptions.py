"""What the backend says of runs, and to whom: one request for all who ask at once, one memory.

A description is also the permission of whoever asked for it, so streams and REST look here before
either of them asks. Remembered is, for each run and credentials, the last answer:

| status | permits for | serves REST for | serves REST during an outage for |
|---|---|---|---|
| terminal | `fresh_s` | `fresh_s` | `stale_s` |
| `RUNNING` | `fresh_s` | `running_s`, but at most `fresh_s` | not at all |
| any other | `fresh_s` | not at all | not at all |

A clear no deletes what was remembered. A description of a run that runs serves nobody any more
once somebody was told that the run is over.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from cachetools import LRUCache, TTLCache

from hewston_bff.credentials import Credentials
from hewston_bff.errors import OUTAGES, REFUSALS, BackendTimeout
from hewston_bff.protocol.ids import RunId
from hewston_bff.topics.run.description import RUNNING, RunDescription
from hewston_bff.topics.run.ports import Describer

_REMEMBERED_BYTES = 16 << 20
_REMEMBERED_RUNS = 10_000

_Key = tuple[RunId, str]


@dataclass(frozen=True, slots=True)
class DescriptionTimes:
    """Seconds; see the module. An answer is waited for up to `request_s`.

    Where what is remembered would do without one, it is waited for up to `patience_s`.
    """

    fresh_s: float = 30.0
    running_s: float = 60.0
    stale_s: float = 600.0
    patience_s: float = 2.0
    request_s: float = 30.0


class KnownRun(NamedTuple):
    """What is known of a run. `calls`: how often the backend was asked for it just now."""

    description: RunDescription
    calls: int = 0
    is_stale: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Flight:
    """A request under way. None is its answer if whoever made it left before there was one."""

    answer: "asyncio.Future[RunDescription | None]"
    is_retried: bool


class RunDescriptions:
    """Asks for descriptions with each caller's own credentials, and remembers the answers.

    `heard` is called with every answer, before anybody gets it; `outdated` when what was made of a
    run is of the past, because it is over by now or was made anew.
    """

    def __init__(self, backend: Describer, *, times: DescriptionTimes) -> None:
        self._backend = backend
        self._times = times
        self._flights: dict[_Key, _Flight] = {}
        self._remembered: TTLCache[_Key, RunDescription] = TTLCache(
            _REMEMBERED_BYTES,
            times.stale_s,
            timer=_now_s,
            getsizeof=lambda description: description.size_bytes,
        )
        self._is_over: LRUCache[RunId, bool] = LRUCache(_REMEMBERED_RUNS)
        """Whether a run is over, by the last answer that anybody got."""
        self.heard: Callable[[RunId, RunDescription], None] = _nobody_hears
        self.outdated: Callable[[RunId], None] = _nothing_kept

    # -- what is remembered

    def permitted_at_s(self, run_id: RunId, credentials: Credentials) -> float | None:
        """When the backend last described the run to these, loop time; None if not remembered."""
        last = self.last(run_id, credentials)
        return None if last is None else last.told_s

    def last(self, run_id: RunId, credentials: Credentials) -> RunDescription | None:
        """The last answer to these credentials, however old; None after a clear no."""
        return self._remembered.get((run_id, credentials.key))

    def fresh(self, run_id: RunId, credentials: Credentials) -> RunDescription | None:
        """The last answer to these credentials, if REST may serve it without asking."""
        last = self.last(run_id, credentials)
        if last is None or _now_s() >= last.told_s + self._holds_s(run_id, last):
            return None
        return last

    def _holds_s(self, run_id: RunId, description: RunDescription) -> float:
        if description.is_over:
            return self._times.fresh_s
        if description.status != RUNNING or self._is_over.get(run_id):
            return 0.0
        return min(self._times.fresh_s, self._times.running_s)

    def forget(self, run_id: RunId) -> None:
        """The run was made anew: what was said of it is of another."""
        for key in [key for key in self._remembered if key[0] == run_id]:
            self._remembered.pop(key, None)
        self.outdated(run_id)

    # -- asking

    async def get(self, run_id: RunId, credentials: Credentials, *, deadline_s: float) -> KnownRun:
        """What was said lately, else what the backend says now, else what it said of a run's end.

        Raises:
            BffError: as `ask`.
        """
        fresh = self.fresh(run_id, credentials)
        if fresh is not None:
            return KnownRun(fresh)
        last = self.last(run_id, credentials)
        end = last if last is not None and last.is_over else None
        if end is not None:
            deadline_s = min(deadline_s, self._times.patience_s)
        try:
            return KnownRun(await self.ask(run_id, credentials, deadline_s=deadline_s), calls=1)
        except OUTAGES:
            if end is None:
                raise
            return KnownRun(end, calls=1, is_stale=True)

    async def ask(
        self, run_id: RunId, credentials: Credentials, *, deadline_s: float | None = None
    ) -> RunDescription:
        """What the backend says now; equal requests under way are one.

        With a deadline (seconds) for a caller who asks once and waits: see `Describer.describe`.
        Without one for a caller who asks again after an outage. If the caller whose request it is
        leaves, the next one asks; so a cancellation costs the others nothing but time.

        Raises:
            RunNotFound, Unauthorized, Forbidden: the backend's clear no.
            BackendUnavailable, BackendTimeout, Busy, RateLimited: no answer.
        """
        key, is_retried = (run_id, credentials.key), deadline_s is not None
        until_s = _now_s() + (self._times.request_s if deadline_s is None else deadline_s)
        while (flight := self._flights.get(key)) is not None:
            description = await _joined(flight, until_s=until_s, is_retried=is_retried)
            if description is not None:
                return description
        flight = _Flight(asyncio.get_running_loop().create_future(), is_retried)
        self._flights[key] = flight
        try:
            description = await self._backend.describe(
                run_id,
                credentials,
                deadline_s=max(0.001, until_s - _now_s()),
                is_retried=is_retried,
            )
            self._learn(key, description)
            flight.answer.set_result(description)
        except Exception as error:
            if isinstance(error, REFUSALS):
                self._remembered.pop(key, None)
            flight.answer.set_exception(error)
            flight.answer.exception()  # marks it as retrieved: maybe nobody else waits
            raise
        finally:
            del self._flights[key]
            if not flight.answer.done():
                flight.answer.set_result(None)
        return description

    def _learn(self, key: _Key, description: RunDescription) -> None:
        run_id = key[0]
        self.heard(run_id, description)
        self._remembered[key] = description
        was_over = self._is_over.get(run_id)
        self._is_over[run_id] = description.is_over
        if was_over is False and description.is_over:
            self.outdated(run_id)


async def _joined(flight: _Flight, *, until_s: float, is_retried: bool) -> RunDescription | None:
    """The answer to somebody else's request; None if the caller has to ask."""
    try:
        async with asyncio.timeout_at(until_s):
            return await asyncio.shield(flight.answer)
    except TimeoutError as exc:
        msg = "the backend did not answer in time: try again, or ask less"
        raise BackendTimeout(msg) from exc
    except OUTAGES:
        if is_retried and not flight.is_retried:
            return None
        raise


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _nobody_hears(run_id: RunId, description: RunDescription) -> None:
    """No topic listens."""


def _nothing_kept(run_id: RunId) -> None:
    """Nobody keeps anything of a run."""

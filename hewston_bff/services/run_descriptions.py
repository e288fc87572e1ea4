"""What the backend says of a run to one caller, which is also that caller's permission."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import NamedTuple

from cachetools import LRUCache, TTLCache

from hewston_bff.credentials import Credentials
from hewston_bff.errors import (
    BackendUnavailable,
    BffError,
    Forbidden,
    RateLimited,
    RunNotFound,
    Unauthorized,
)
from hewston_bff.net.backend.requests import BackendRequests
from hewston_bff.net.cache import cache_key
from hewston_bff.protocol.ids import RunId
from hewston_bff.services.response_cache import OUTAGES, Answers
from hewston_bff.topics.run.description import RunDescription
from hewston_bff.topics.run.kind import RunKind
from hewston_bff.topics.run.link import TERMINAL
from hewston_bff.topics.run.run_facts import MalformedRun, RunFacts, parse_facts

RUNNING = "RUNNING"
_BODY_BYTES = 1 << 20
_REMEMBERED_BYTES = 16 << 20
_REMEMBERED_RUNS = 10_000
_REFUSALS: dict[int, tuple[type[BffError], str]] = {
    401: (Unauthorized, "the backend wants credentials: send an Authorization header"),
    403: (Forbidden, "the backend does not allow you this run"),
    404: (RunNotFound, "the backend has no such run: check the id"),
    429: (RateLimited, "the backend has had too many requests: try later"),
}


class Known(NamedTuple):
    """What is known of a run. `calls`: how often the backend was asked for it just now."""

    facts: RunFacts
    calls: int = 0
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class _Said:
    facts: RunFacts
    at_s: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class DetailTimes:
    """Seconds. What the backend said holds for `fresh_s`, of a running run for `running_s`.

    Of a run that is over it holds for `stale_s` while the backend does not answer, which is waited
    for up to `patience_s`.
    """

    fresh_s: float
    running_s: float
    stale_s: float
    patience_s: float


def run_scope(run_id: RunId) -> str:
    """How the keys of all that is kept of a run begin."""
    return f"run:{run_id}:"


class RunDetails:
    """One call for equal requests in flight, with the caller's own credentials."""

    def __init__(
        self, requests: BackendRequests, answers: Answers, runs: RunKind, *, times: DetailTimes
    ) -> None:
        self._requests = requests
        self._answers = answers
        self._runs = runs
        self._times = times
        self._said: TTLCache[tuple[RunId, str], _Said] = TTLCache(
            _REMEMBERED_BYTES,
            times.stale_s,
            timer=monotonic,
            getsizeof=lambda said: said.size_bytes,
        )
        self._unfinished: LRUCache[RunId, None] = LRUCache(_REMEMBERED_RUNS)
        runs.on_remade = self.forget

    async def get(self, run_id: RunId, credentials: Credentials, *, deadline_s: float) -> Known:
        """What was said lately, else what the backend says now.

        Raises:
            BffError: as `ask`.
        """
        fresh = self._fresh(run_id, credentials)
        if fresh is not None:
            return Known(fresh)
        said = self._said.get((run_id, credentials.key))
        end = said.facts if said is not None and said.facts.is_over else None
        if end is not None:
            deadline_s = min(deadline_s, self._times.patience_s)
        try:
            return Known(await self.ask(run_id, credentials, deadline_s=deadline_s), calls=1)
        except OUTAGES:
            if end is None:
                raise
            return Known(end, calls=1, is_stale=True)

    def forget(self, run_id: RunId) -> None:
        """Forget what was said, and all that is kept, of a run that was made anew."""
        for key in [key for key in self._said if key[0] == run_id]:
            self._said.pop(key, None)
        self._answers.drop(run_scope(run_id))

    def known_end(self, run_id: RunId, credentials: Credentials) -> RunFacts | None:
        """What was said lately of a run that is over."""
        facts = self._fresh(run_id, credentials)
        return facts if facts is not None and facts.is_over else None

    async def ask(self, run_id: RunId, credentials: Credentials, *, deadline_s: float) -> RunFacts:
        """What the backend says now. A run that is over by now loses what is kept of it.

        Raises:
            RunNotFound, Unauthorized, Forbidden, RateLimited: the backend's clear no.
            BackendUnavailable, BackendTimeout, Busy: no answer, or none that makes sense.
        """
        key = cache_key(f"detail:{run_id}:", None, credentials)
        make = partial(self._ask, run_id, credentials, deadline_s)
        try:
            body = await self._answers.once(key, make)
            facts = parse_facts(run_id, body)
        except MalformedRun as exc:
            raise BackendUnavailable("the backend's answer makes no sense: try again") from exc
        except (Unauthorized, Forbidden, RunNotFound):
            self._said.pop((run_id, credentials.key), None)
            raise
        self._said[run_id, credentials.key] = _Said(facts, monotonic(), len(body))
        self._note(run_id, facts)
        return facts

    def _fresh(self, run_id: RunId, credentials: Credentials) -> RunFacts | None:
        said = self._said.get((run_id, credentials.key))
        if said is None or monotonic() >= said.at_s + self._holds_s(run_id, said.facts):
            return None
        return said.facts

    def _holds_s(self, run_id: RunId, facts: RunFacts) -> float:
        if facts.is_over:
            return self._times.fresh_s
        if facts.status != RUNNING or self._runs.known_status(run_id) in TERMINAL:
            return 0.0
        return min(self._times.fresh_s, self._times.running_s)

    async def _ask(self, run_id: RunId, credentials: Credentials, deadline_s: float) -> bytes:
        asked_s = asyncio.get_running_loop().time()
        answer = await self._requests.get(
            f"/backtests/{run_id}",
            credentials=credentials,
            deadline_s=deadline_s,
            max_bytes=_BODY_BYTES,
        )
        if answer.status in _REFUSALS:
            error, message = _REFUSALS[answer.status]
            raise error(message)
        if answer.status != 200:
            msg = f"the backend answered {answer.status}: try again in a moment"
            raise BackendUnavailable(msg)
        self._tell_topic(run_id, answer.body, asked_s=asked_s)
        return answer.body

    def _tell_topic(self, run_id: RunId, body: bytes, *, asked_s: float) -> None:
        """Have the run's topic look whether it was made anew."""
        with suppress(MalformedRun):
            facts = parse_facts(run_id, body)
            now_s = asyncio.get_running_loop().time()
            detail = RunDescription(
                facts.status, None, facts.identity, asked_s=asked_s, told_s=now_s
            )
            self._runs.hear(run_id, detail)

    def _note(self, run_id: RunId, facts: RunFacts) -> None:
        if not facts.is_over:
            self._unfinished[run_id] = None
        elif run_id in self._unfinished:
            del self._unfinished[run_id]
            self._answers.drop(run_scope(run_id))

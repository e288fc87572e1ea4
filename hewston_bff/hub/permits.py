"""Who may read a run: asked of the backend with each viewer's own credentials, and asked again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import random

from hewston_bff.backoff import full_jitter
from hewston_bff.errors import BackendUnavailable, BffError, Forbidden, RunNotFound, Unauthorized
from hewston_bff.ports import Backend, Credentials, RunDetail
from hewston_bff.protocol.ids import RunId

REFUSALS = (RunNotFound, Unauthorized, Forbidden)


@dataclass(frozen=True, slots=True)
class AccessTimes:
    """How long a yes holds: asked again after `fresh_s`; without an answer at most `stale_s`."""

    fresh_s: float = 30.0
    stale_s: float = 600.0
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 20.0


@dataclass(slots=True, eq=False)
class Access:
    """What the backend said to one set of credentials about one run.

    `granted_at_s` is loop time, None while it has not said yes. `decided` is set by the first clear
    answer. `viewers` counts the subscriptions that stand on it.
    """

    run_id: RunId
    credentials: Credentials
    granted_at_s: float | None = None
    is_granted: bool = False
    refusal: BffError | None = None
    viewers: int = 0
    decided: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None

    def refuse(self, refusal: BffError) -> None:
        """It is denied, for good."""
        self.is_granted = False
        self.granted_at_s = None
        self.refusal = refusal
        self.decided.set()

    def is_of_use(self, *, since_s: float) -> bool:
        """Whether somebody stands on it, or could: the backend said yes after `since_s`."""
        return self.viewers > 0 or (self.granted_at_s is not None and self.granted_at_s > since_s)


@dataclass(frozen=True, slots=True)
class AccessEvents:
    """Whom to tell of a yes, a clear no, a yes gone stale, and an attempt without answer."""

    granted: Callable[[Access, RunDetail], None]
    refused: Callable[[Access, BffError], None]
    suspended: Callable[[Access], None]
    unanswered: Callable[[int, float], None]


async def watch_access(
    access: Access,
    backend: Backend,
    *,
    times: AccessTimes,
    events: AccessEvents,
    wait: Callable[[float], Awaitable[None]],
) -> None:
    """Ask now and whenever the answer is due for renewal, until refused or cancelled.

    `wait` takes the seconds until the next try, and may return earlier if the backend is back.
    """
    loop = asyncio.get_running_loop()
    attempt = 0
    if access.granted_at_s is not None:
        await asyncio.sleep(max(0.0, access.granted_at_s + times.fresh_s - loop.time()))
    while True:
        try:
            detail = await backend.run_detail(access.run_id, access.credentials)
        except REFUSALS as refusal:
            access.refuse(refusal)
            events.refused(access, refusal)
            return
        except BackendUnavailable:
            attempt += 1
            wait_s = full_jitter(
                attempt,
                base_s=times.backoff_base_s,
                cap_s=times.backoff_cap_s,
                jitter=random(),  # noqa: S311 - spread, not secrecy
            )
            if access.is_granted and _is_stale(access, times, loop.time()):
                access.is_granted = False
                events.suspended(access)
            events.unanswered(attempt, wait_s)
            await wait(wait_s)
        else:
            attempt = 0
            access.is_granted = True
            access.granted_at_s = loop.time()
            access.decided.set()
            events.granted(access, detail)
            await asyncio.sleep(times.fresh_s)


def _is_stale(access: Access, times: AccessTimes, now_s: float) -> bool:
    return access.granted_at_s is not None and now_s - access.granted_at_s >= times.stale_s

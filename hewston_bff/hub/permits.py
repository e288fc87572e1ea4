"""Permission to read a topic: its source is asked with each viewer's credentials, and again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import random
from typing import Protocol

from hewston_bff.backoff import full_jitter
from hewston_bff.credentials import Credentials
from hewston_bff.errors import BackendUnavailable, BffError, Forbidden, RunNotFound, Unauthorized
from hewston_bff.protocol.topics import Topic

REFUSALS = (RunNotFound, Unauthorized, Forbidden)


@dataclass(frozen=True, slots=True)
class PermitTimes:
    """How long a permission holds: renewed after `fresh_s`; without an answer at most `stale_s`."""

    fresh_s: float = 30.0
    stale_s: float = 600.0
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 20.0


@dataclass(slots=True, eq=False)
class Permit:
    """The answer of a source to one set of credentials about one topic.

    `granted_at_s` is loop time, None until permission was granted. `decided` is set by the first
    clear answer. `viewers` counts those who rely on the permit.
    """

    topic: Topic
    credentials: Credentials
    granted_at_s: float | None = None
    is_granted: bool = False
    refusal: BffError | None = None
    viewers: int = 0
    decided: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None

    def grant(self, now_s: float) -> None:
        """The source granted or renewed it."""
        self.is_granted = True
        self.granted_at_s = now_s
        self.decided.set()

    def refuse(self, refusal: BffError) -> None:
        """The source refused it, finally."""
        self.is_granted = False
        self.granted_at_s = None
        self.refusal = refusal
        self.decided.set()

    def is_of_use(self, *, since_s: float) -> bool:
        """Whether a viewer relies on it, or could: it was granted after `since_s`."""
        return self.viewers > 0 or (self.granted_at_s is not None and self.granted_at_s > since_s)


class Permits:
    """The permits of one topic, by credentials; also its `ports.PermitView`."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._by_key: dict[str, Permit] = {}
        self._has_granted = asyncio.Event()

    def of(self, credentials: Credentials, *, since_s: float) -> Permit:
        """The permit of these credentials, undecided if new; permits of no use are removed."""
        kept = {k: each for k, each in self._by_key.items() if each.is_of_use(since_s=since_s)}
        self._by_key = kept
        permit = kept.setdefault(credentials.key, Permit(self._topic, credentials))
        if permit.is_granted:
            self._has_granted.set()
        return permit

    def granted(self) -> None:
        """A permit was granted."""
        self._has_granted.set()

    def drop(self, permit: Permit) -> None:
        """Remove a refused permit: the next viewer with these credentials causes a new question."""
        self._by_key.pop(permit.credentials.key, None)

    @property
    def is_known(self) -> bool:
        """Whether any permit was granted since the topic was opened or last closed."""
        return self._has_granted.is_set()

    def clear(self) -> None:
        """Stop renewing all permits, and forget them."""
        for permit in self._by_key.values():
            if permit.task is not None:
                permit.task.cancel()
        self._by_key.clear()
        self._has_granted.clear()

    async def wait(self) -> None:
        """See `PermitView`."""
        while not self.credentials():
            self._has_granted.clear()
            await self._has_granted.wait()

    def credentials(self) -> Sequence[Credentials]:
        """See `PermitView`."""
        return [
            each.credentials for each in self._by_key.values() if each.is_granted and each.viewers
        ]


class PermitEvents(Protocol):
    """Gets the answers of a source."""

    def granted(self, permit: Permit) -> None:
        """The source granted or renewed `permit`."""

    def refused(self, permit: Permit, error: BffError) -> None:
        """The source refused `permit`."""

    def suspended(self, permit: Permit) -> None:
        """`permit` was not renewed in time."""

    def unanswered(self, attempt: int, wait_s: float) -> None:
        """An attempt got no answer; the next comes after `wait_s`."""


async def watch_permit(
    permit: Permit,
    ask: Callable[[Credentials], Awaitable[None]],
    *,
    times: PermitTimes,
    events: PermitEvents,
    wait: Callable[[float], Awaitable[None]],
) -> None:
    """Ask now, and whenever the answer is due for renewal, until refused or cancelled.

    `ask` returns if the source permits, and raises as `ports.Source.permit`. `wait` takes the
    seconds until the next attempt, and may return earlier.
    """
    loop = asyncio.get_running_loop()
    attempt = 0
    if permit.granted_at_s is not None:
        await asyncio.sleep(max(0.0, permit.granted_at_s + times.fresh_s - loop.time()))
    while True:
        try:
            await ask(permit.credentials)
        except REFUSALS as refusal:
            permit.refuse(refusal)
            events.refused(permit, refusal)
            return
        except BackendUnavailable:
            attempt += 1
            wait_s = full_jitter(
                attempt,
                base_s=times.backoff_base_s,
                cap_s=times.backoff_cap_s,
                jitter=random(),  # noqa: S311 - spread, not secrecy
            )
            if permit.is_granted and _is_stale(permit, times, loop.time()):
                permit.is_granted = False
                events.suspended(permit)
            events.unanswered(attempt, wait_s)
            await wait(wait_s)
        else:
            attempt = 0
            permit.grant(loop.time())
            events.granted(permit)
            await asyncio.sleep(times.fresh_s)


def _is_stale(permit: Permit, times: PermitTimes, now_s: float) -> bool:
    return permit.granted_at_s is not None and now_s - permit.granted_at_s >= times.stale_s

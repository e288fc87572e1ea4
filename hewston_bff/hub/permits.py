"""Who may read a topic: asked of its source with each viewer's own credentials, and asked again.

A permit lasts as long as somebody relies on it. What was said to those who left is remembered by
the source alone, together with what it said to others than the hub.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import random
from typing import Protocol

from hewston_bff.backoff import full_jitter
from hewston_bff.credentials import Credentials
from hewston_bff.errors import OUTAGES, REFUSALS, BffError
from hewston_bff.ports import Source
from hewston_bff.protocol.topics import Topic


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

    def recall(self, said_at_s: float | None, *, since_s: float) -> bool:
        """Take a yes that the source remembers, if it is news and was given after `since_s`."""
        known_s = since_s if self.granted_at_s is None else max(since_s, self.granted_at_s)
        if said_at_s is None or said_at_s <= known_s:
            return False
        self.grant(said_at_s)
        return True


class Permits:
    """The permits of one topic, by credentials; also its `ports.PermitView`."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._by_key: dict[str, Permit] = {}
        self._has_granted = asyncio.Event()

    def of(self, credentials: Credentials) -> Permit:
        """The permit of these credentials, undecided if they had none."""
        return self._by_key.setdefault(credentials.key, Permit(self._topic, credentials))

    def granted(self) -> None:
        """A permit was granted."""
        self._has_granted.set()

    def drop(self, permit: Permit) -> None:
        """It was refused, or nobody relies on it: who comes with its credentials gets another."""
        if self._by_key.get(permit.credentials.key) is permit:
            del self._by_key[permit.credentials.key]

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
        return [each.credentials for each in self._by_key.values() if each.is_granted]


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
    permit: Permit, source: Source, *, times: PermitTimes, events: PermitEvents
) -> None:
    """Ask now, and whenever the answer is due for renewal, until refused or cancelled.

    Nothing is asked while the source remembers an answer that is fresh, whoever asked for it.
    """
    loop = asyncio.get_running_loop()
    attempt = 0
    while True:
        if permit.is_granted and permit.granted_at_s is not None and not attempt:
            await asyncio.sleep(max(0.0, permit.granted_at_s + times.fresh_s - loop.time()))
        said_at_s = source.permitted_at_s(permit.credentials)
        if permit.recall(said_at_s, since_s=loop.time() - times.fresh_s):
            attempt = 0
            events.granted(permit)
            continue
        try:
            await source.permit(permit.credentials)
        except REFUSALS as refusal:
            permit.refuse(refusal)
            events.refused(permit, refusal)
            return
        except OUTAGES:
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
            await source.wait(wait_s)
        else:
            attempt = 0
            permit.grant(loop.time())
            events.granted(permit)


def _is_stale(permit: Permit, times: PermitTimes, now_s: float) -> bool:
    return permit.granted_at_s is not None and now_s - permit.granted_at_s >= times.stale_s

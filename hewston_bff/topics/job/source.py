"""The source of job updates: one stream of Redis, read by ids of our own.

Every process reads all of it. What was accepted before decides over each update, so the stream is
read from its start once; from then on each entry is read once, over all reconnects.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from random import random
from typing import Final, NamedTuple

import structlog

from hewston_bff.backoff import full_jitter
from hewston_bff.errors import SourceUnavailable
from hewston_bff.events.event import FIRST_ID, EntryId, Event
from hewston_bff.events.source_state import HistoryPage, Lost, SourceLink, SourceStats
from hewston_bff.ports import EventIntake
from hewston_bff.topics.job.ports import Fields, JobUpdates, StreamExtent, UpdateEntry
from hewston_bff.topics.job.states import FINISHED, UpdateLedger, UpdateRefusal, is_astray
from hewston_bff.topics.job.update import (
    MAX_UPDATE_BYTES,
    InvalidUpdate,
    JobUpdate,
    is_job_id,
    job_event,
    parse_state,
    parse_update,
    record_fields,
)

logger = structlog.get_logger(__name__)

_PAGE: Final = 50
"""Entries at once: few enough for a tick to wait for."""
_LAST_SEQ: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSourceTimes:
    """Waits between attempts, and how much a start hands over.

    Requests of jobs find out at once that Redis is back: their updates must not be long behind.
    """

    backoff_base_s: float = 1.0
    backoff_cap_s: float = 5.0
    held_bytes: int = 16 << 20


class _Refused(NamedTuple):
    reason: UpdateRefusal
    job_id: str
    update: JobUpdate | None
    """None if it could not be read."""


@dataclass(slots=True)
class _Judged:
    """What became of some entries."""

    events: list[Event] = field(default_factory=list)
    refused: list[_Refused] = field(default_factory=list)
    finished: dict[str, bool] = field(default_factory=dict)
    """Jobs with an accepted update: whether it finished them."""


class JobSource:
    """Implements `EventSource`. Refused updates are counted by reason, and logged."""

    def __init__(
        self,
        intake: EventIntake,
        updates: JobUpdates,
        *,
        now_ms: Callable[[], int],
        times: JobSourceTimes,
    ) -> None:
        """`now_ms`: the wall clock, for figures."""
        self._intake = intake
        self._updates = updates
        self._now_ms = now_ms
        self._times = times
        self.stats = SourceStats()
        self._ledger: UpdateLedger | None = None
        self._last = FIRST_ID
        self._read = 0
        """How many entries were added to the stream up to `_last`."""
        self._attempt = 0
        self._shown: dict[str, bool] = {}
        """Jobs with signs of life that are still to be kept: whether they are finished."""
        self._astray: dict[str, JobUpdate | None] = {}
        """Jobs whose record may say an update that was refused."""

    async def run(self) -> None:
        """See `EventSource`."""
        while True:
            try:
                await self._follow()
            except SourceUnavailable as exc:
                await self._back_off(exc)

    async def history(
        self, after: EntryId, before: EntryId, wanted: Callable[[str], bool]
    ) -> AsyncGenerator[HistoryPage, None]:
        """See `EventSource`. It reads the stream from its start: what was before decides."""
        lost = None
        if after != FIRST_ID:
            lost = _gap(after, await self._updates.extent())
        async for events in self._replay(UpdateLedger(), before):
            chosen = [
                event
                for event in events.events
                if event.id > after and wanted(event.topic.partition(":")[2])
            ]
            if chosen or lost is not None:
                yield HistoryPage(chosen, lost)
                lost = None
        if lost is not None:
            yield HistoryPage((), lost)

    async def _follow(self) -> None:
        """Read on for ever.

        Raises:
            SourceUnavailable: Redis gives no answer.
        """
        extent = await self._updates.extent()
        if self._ledger is None:
            ledger = await self._begin(extent)
            self._ledger = ledger
        else:
            ledger = self._ledger
            self._tell_gap(extent)
        self._come_up()
        while True:
            await self._settle()
            entries = await self._updates.wait(self._last, count=_PAGE)
            judged = await self._judge(entries, ledger)
            self._publish(entries, judged)
            if len(entries) == _PAGE:
                extent = await self._updates.extent()
                self.stats.behind_ms = max(0, extent.last.ms - self._last.ms)
                self._tell_gap(extent)
            elif entries:
                self.stats.behind_ms = 0

    async def _begin(self, extent: StreamExtent) -> UpdateLedger:
        """Hand over what the stream holds."""
        ledger = UpdateLedger()
        held: deque[Event] = deque()
        newest: dict[str, Event] = {}
        refused: list[_Refused] = []
        floor, size_bytes, last = FIRST_ID, 0, FIRST_ID
        read = extent.added - extent.length
        async for judged in self._replay(ledger, None):
            last, read = judged.last, read + judged.size
            refused += judged.refused
            for event in judged.events:
                held.append(event)
                size_bytes += event.size_bytes
            while size_bytes > self._times.held_bytes:
                gone = held.popleft()
                size_bytes -= gone.size_bytes
                floor = gone.id
                newest[gone.topic] = gone
        topics = {event.topic for event in held}
        remembered = [event for topic, event in newest.items() if topic not in topics]
        skew_ms = await self._updates.skew_ms()
        # From here on nothing waits: either all of it has happened, or nothing.
        self._last, self._read = last, read
        self._note(refused)
        self.stats.events += len(held)
        self.stats.bytes += size_bytes
        self._intake.begin(
            sorted(remembered, key=lambda event: event.id), held, floor=floor, skew_ms=skew_ms
        )
        return ledger

    async def _replay(
        self, ledger: UpdateLedger, before: EntryId | None
    ) -> AsyncIterator["_JudgedPage"]:
        """The stream from its start, up to an id (excluded) if one is given."""
        last = FIRST_ID
        while entries := await self._updates.page(last, count=_PAGE):
            last = entries[-1].id
            wanted = [one for one in entries if before is None or one.id < before]
            judged = await self._judge(wanted, ledger)
            yield _JudgedPage(judged.events, judged.refused, last, len(entries))
            if len(entries) < _PAGE or len(wanted) < len(entries):
                return

    async def _judge(self, entries: Sequence[UpdateEntry], ledger: UpdateLedger) -> _Judged:
        """What the ledger makes of entries. A cancellation leaves it as it was."""
        read = [(entry.id, _read(entry)) for entry in entries]
        strangers = {
            one.job_id
            for _, one in read
            if isinstance(one, JobUpdate) and ledger.last(one.job_id) is None
        }
        known = await self._updates.known(strangers) if strangers else set()
        judged = _Judged()
        for entry_id, one in read:
            if isinstance(one, _Refused):
                judged.refused.append(one)
                continue
            if one.job_id in strangers - known:
                judged.refused.append(_Refused(UpdateRefusal.UNKNOWN_JOB, one.job_id, one))
                continue
            reason = ledger.take(one, entry_id)
            if reason is not None:
                judged.refused.append(_Refused(reason, one.job_id, one))
                continue
            judged.events.append(job_event(one, entry_id))
            judged.finished[one.job_id] = one.status in FINISHED
        return judged

    def _publish(self, entries: Sequence[UpdateEntry], judged: _Judged) -> None:
        """Hand over what was accepted, and remember what is to be done about the rest."""
        if not entries:
            return
        self._last = entries[-1].id
        self._read += len(entries)
        self._shown |= judged.finished
        self._note(judged.refused)
        if judged.events:
            self.stats.events += len(judged.events)
            self.stats.bytes += sum(event.size_bytes for event in judged.events)
            self.stats.last_event_at_ms = self._now_ms()
            self._intake.publish(judged.events)

    async def _settle(self) -> None:
        """Keep the records of jobs that live, and mend those that say what was refused."""
        if self._shown:
            finished = [job_id for job_id, is_over in self._shown.items() if is_over]
            await self._updates.keep(list(self._shown), finished=finished)
            self._shown = {}
        while self._astray:
            job_id, refused = next(iter(self._astray.items()))
            await self._restore(job_id, refused)
            del self._astray[job_id]

    async def _restore(self, job_id: str, refused: JobUpdate | None) -> None:
        last = None if self._ledger is None else self._ledger.last(job_id)
        entry = None if last is None else await self._updates.entry(last.entry_id)
        if entry is None:
            return
        accepted = parse_update(entry.fields)

        def decide(fields: Fields) -> dict[str, str | bytes] | None:
            try:
                record = parse_state(job_id, fields)
            except InvalidUpdate:
                record = None
            if not is_astray(record, refused=refused, accepted=accepted):
                return None
            finished_at = accepted.ts if accepted.status in FINISHED else ""
            return {**record_fields(accepted), "finished_at": finished_at}

        if await self._updates.restore(job_id, decide):
            logger.warning("jobs.record_restored", job_id=job_id, status=accepted.status)

    def _tell_gap(self, extent: StreamExtent) -> None:
        """Say so if entries were trimmed before they were read, or Redis has lost its data."""
        if extent.last < self._last:
            # It came back without its newest entries, which were delivered here, and may give
            # their ids again: reading on after ours would pass over those.
            logger.warning("jobs.stream_shortened", last=str(self._last), is_now=str(extent.last))
            self._last, self._read = extent.last, extent.added
            return
        first = extent.added - extent.length
        if extent.added < self._read:
            self._read = first
        elif first > self._read:
            lost = _gap(self._last, extent)
            if lost is not None:
                self._intake.lost(lost)
            self._read = first

    def _come_up(self) -> None:
        self._attempt = 0
        self.stats.connected_at_ms = self._now_ms()
        self.stats.error = None
        self._intake.link(SourceLink("up"))

    async def _back_off(self, error: SourceUnavailable) -> None:
        if self._attempt == 0:
            self.stats.reconnects += 1
        self._attempt += 1
        self.stats.error = error.message
        wait_s = full_jitter(
            self._attempt,
            base_s=self._times.backoff_base_s,
            cap_s=self._times.backoff_cap_s,
            jitter=random(),  # noqa: S311 - it spreads attempts, it hides nothing
        )
        self._intake.link(
            SourceLink("retrying", attempt=self._attempt, retry_in_ms=round(wait_s * 1e3))
        )
        await asyncio.sleep(wait_s)

    def _note(self, refused: Sequence[_Refused]) -> None:
        """Count what was refused, and have the records looked at that may say it.

        The 1st, 2nd, 4th, … of a reason is logged.
        """
        for one in refused:
            if one.reason is not UpdateRefusal.UNKNOWN_JOB and one.job_id:
                self._astray[one.job_id] = one.update
        for reason, count in Counter(one.reason for one in refused).items():
            before = self.stats.left_out.get(reason, 0)
            total = self.stats.left_out[reason] = before + count
            if total.bit_length() > before.bit_length():
                example = next(one.job_id for one in refused if one.reason is reason)
                logger.warning("jobs.update_refused", reason=reason, total=total, job_id=example)


class _JudgedPage(NamedTuple):
    """What became of one page of the stream."""

    events: list[Event]
    refused: list[_Refused]
    last: EntryId
    size: int


def _read(entry: UpdateEntry) -> JobUpdate | _Refused:
    fields = entry.fields
    if sum(map(len, fields.values())) > MAX_UPDATE_BYTES:
        return _Refused(UpdateRefusal.TOO_LARGE, _job_id(fields), None)
    try:
        return parse_update(fields)
    except InvalidUpdate:
        return _Refused(UpdateRefusal.MALFORMED, _job_id(fields), None)


def _job_id(fields: Fields) -> str:
    """The job that an unreadable update names; empty if none."""
    text = fields.get(b"id", b"").decode("utf-8", "replace")
    return text if is_job_id(text) else ""


def _gap(after: EntryId, extent: StreamExtent) -> Lost | None:
    """What was trimmed between an id and the oldest entry that is there; None: nothing."""
    first = extent.first
    if first is None:
        until = extent.last
    elif first.seq:
        until = EntryId(first.ms, first.seq - 1)
    else:
        until = EntryId(first.ms - 1, _LAST_SEQ)
    has_trimmed = extent.added > extent.length
    return Lost(after, until) if has_trimmed and after < until else None

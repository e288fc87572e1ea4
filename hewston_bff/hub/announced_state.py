"""What one client was last sent about a subscription, so that each change is announced once."""

from dataclasses import dataclass

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from hewston_bff.errors import ErrorCode
from hewston_bff.log.log import AnyLog
from hewston_bff.playback.cursor import Cursor
from hewston_bff.protocol.commands import RequestId
from hewston_bff.protocol.ids import RunId
from hewston_bff.protocol.notices import (
    CursorStatus,
    Details,
    Err,
    SkippedFrames,
    State,
    Subscribed,
)
from hewston_bff.protocol.times import format_time
from hewston_bff.protocol.topics import RUN, Topic

Re = RequestId | UnsetType


@dataclass(slots=True)
class AnnouncedState:
    """The last status sent, and what is announced once.

    The messages are made here because making one records what it announces. A `log` of None is one
    that the client may not read (yet).
    """

    sid: int | UnsetType
    status: CursorStatus | None = None
    is_end: bool = False
    """Whether `end` was sent: the client knows that the last record was delivered."""
    is_introduced: bool = False
    """Whether the client knows the log's epoch and bounds."""
    recovered: bool | None = None
    """Whether its resume was exact; None without a resume, or while that is unknown."""
    owes_recovery: bool = False
    """Whether `recovered` became known only after `subscribed`, and is still to be sent."""

    def subscribed(
        self, re: Re, topic: Topic, cursor: Cursor, log: AnyLog | None, status: CursorStatus
    ) -> Subscribed:
        """The answer to `subscribe`."""
        is_warm = log is not None and log.epoch is not None
        self.is_introduced = is_warm
        self.status = status
        self.is_end = False
        return Subscribed(
            re=re,
            sid=self.sid,
            run_id=RunId(topic.name) if topic.kind == RUN else UNSET,
            topic=UNSET if topic.kind == RUN else str(topic),
            epoch=log.epoch if log is not None else None,
            first=log.first_seq if log is not None and is_warm else None,
            last=log.next_seq - 1 if log is not None and is_warm else None,
            complete=log is not None and log.is_complete,
            seq=cursor.next_seq - 1,
            status=status,
            speed=cursor.playhead.speed,
            max_fps=cursor.max_fps,
            mode=cursor.mode,
            recovered=self.recovered,
        )

    def state(
        self,
        re: Re,
        cursor: Cursor,
        log: AnyLog | None,
        status: CursorStatus,
        *,
        has_seeked: bool,
    ) -> State:
        """Where the cursor stands now."""
        seq = cursor.next_seq - 1
        edge = -1 if log is None else log.next_seq - 1
        self.status = status
        self.is_end = self.is_end and status == "ended"
        state = State(
            re=re,
            sid=self.sid,
            status=status,
            seq=seq,
            ts=format_time(log.ts_ns(seq)) if log is not None and log.holds(seq) else None,
            speed=cursor.playhead.speed,
            frames_per_s=cursor.playhead.rate,
            live_edge=edge,
            behind=max(0, edge - seq),
            seeked=has_seeked,
        )
        if self.owes_recovery and self.recovered is not None:
            self.owes_recovery = False
            state = replace(state, recovered=self.recovered)
        if not self.is_introduced and log is not None and log.epoch is not None:
            self.is_introduced = True
            state = replace(
                state, epoch=log.epoch, first=log.first_seq, last=edge, complete=log.is_complete
            )
        return state

    def out_of_range(self, re: Re, log: AnyLog) -> Err:
        """The error for a position that the log does not have."""
        has_frames = log.next_seq > log.first_seq
        return Err(
            re=re,
            sid=self.sid,
            code=ErrorCode.RANGE,
            msg="no such frame: seek to one from `min` to `max`, or to a time up to `max_ts`"
            if has_frames
            else "the run has no frames: there is no position to seek to",
            details={
                "min": log.first_seq,
                "max": log.next_seq - 1,
                "min_ts": format_time(log.ts_ns(log.first_seq)) if has_frames else None,
                "max_ts": format_time(log.ts_ns(log.next_seq - 1)) if has_frames else None,
            },
        )

    def skipped(self, skipped: SkippedFrames) -> Err:
        """The error that names missing frames, for a client that gets no `run` messages."""
        return self.error(
            ErrorCode.FRAMES_SKIPPED,
            "some frames of this run could not be read: `details` says how many and why",
            {"frames": skipped.frames, "reasons": skipped.reasons},
        )

    def error(self, code: str, message: str, details: Details) -> Err:
        """An error of this subscription."""
        return Err(sid=self.sid, code=code, msg=message, details=details or UNSET)

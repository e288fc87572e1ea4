"""A range of a run's source frames, read from its log while that may still grow."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from hewston_bff.errors import BackendTimeout, BackendUnavailable, NoData
from hewston_bff.hub.log_reader import LogReader
from hewston_bff.protocol.ids import RunId
from hewston_bff.protocol.positions import AtIndex
from hewston_bff.topics.run.frame_block import FrameLog
from hewston_bff.topics.run.frame_range import FrameRange, lines
from hewston_bff.topics.run.kind import RunKind
from hewston_bff.topics.run.link import TERMINAL

_AT_ONCE = 256


class RunFrames:
    """Yields the frames in batches, oldest first.

    Without a last frame it ends with the run if that is over, else with what is there at first.
    """

    def __init__(
        self, runs: RunKind, reader: LogReader, wanted: FrameRange, *, patience_s: float
    ) -> None:
        self._runs = runs
        self._reader = reader
        self._wanted = wanted
        self._patience_s = patience_s
        self._log: FrameLog | None = None

    async def begin(self) -> None:
        """Wait for the first frame.

        Raises:
            RunNotFound, Unauthorized, Forbidden: the backend's no.
            NoData: the run has no such frames, or they are no longer held.
            BackendTimeout: the first is not there in time.
            BackendUnavailable: it will not come.
        """
        wanted = self._wanted
        log = await self._wait(lambda log: wanted.start(log) is not None)
        start = wanted.start(log) or 0
        if start >= wanted.stop(log) or not log.holds(start):
            raise NoData(
                "the run has no such frames, or they are no longer held: see details",
                details={"first_seq": log.first_seq, "next_seq": log.next_seq},
            )
        if wanted.last is None and not self._is_over():
            self._wanted = replace(wanted, last=AtIndex(log.next_seq - 1))
        self._log, self._reader.next_seq = log, start

    async def next(self) -> bytes:
        """Some lines; b"" after the last. A cancellation loses nothing.

        Raises:
            Unauthorized, Forbidden: the backend no longer allows it.
            BackendTimeout: the next frame is not there in time.
            BackendUnavailable: it will not come, or the run is another by now.
        """
        wanted, seq = self._wanted, self._reader.next_seq
        log = await self._wait(
            lambda log: log is not self._log or wanted.stop(log) > seq or wanted.is_all_there(log)
        )
        if log is not self._log:
            raise BackendUnavailable("the backend plays another run by now: ask again")
        stop = min(wanted.stop(log), seq + _AT_ONCE)
        self._reader.next_seq = max(seq, stop)
        return lines(log, seq, stop)

    async def _wait(self, is_enough: Callable[[FrameLog], bool]) -> FrameLog:
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._reader.until(is_enough)
        except TimeoutError as exc:
            raise BackendTimeout("the backend has not sent these frames yet: ask again") from exc

    def _is_over(self) -> bool:
        return self._runs.known_status(RunId(self._reader.permit.topic.name)) in TERMINAL

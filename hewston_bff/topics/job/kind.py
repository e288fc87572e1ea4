"""Jobs, as a kind of topics that carry events."""

from collections.abc import Callable

from hewston_bff.credentials import ApiCaller
from hewston_bff.errors import BffError
from hewston_bff.ports import EventKind
from hewston_bff.protocol.topics import JOB
from hewston_bff.topics.job.ports import JobUpdates
from hewston_bff.topics.job.source import JobSource, JobSourceTimes

_USUAL_TIMES = JobSourceTimes()


def job_kind(
    updates: JobUpdates,
    *,
    refusal: Callable[[ApiCaller], BffError | None],
    now_ms: Callable[[], int],
    times: JobSourceTimes = _USUAL_TIMES,
) -> EventKind:
    """The kind `job`: a topic is a job's id, and each update an event that nothing replaces.

    `now_ms`: the wall clock, for figures.
    """
    return EventKind(
        name=JOB,
        is_mergeable=_never,
        default_mode="all",
        refusal=refusal,
        open=lambda intake: JobSource(intake, updates, now_ms=now_ms, times=times),
    )


def _never(name: str) -> bool:  # noqa: ARG001 - whichever job
    return False

"""What the probe of a service comes to. Pure.

| probe | status |
|---|---|
| 2xx, and a JSON body does not say otherwise in its `status` | ok |
| 2xx, and it says `degraded` or the like; 3xx, 4xx (429 too): it answers, but not well | degraded |
| 2xx, and it says `down` or the like; 5xx; no answer that can be read, or none in time | down |
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import msgspec

ServiceStatus = Literal["ok", "degraded", "down"]
ProbeFailure = Literal["timeout", "unreachable", "unknown_host", "certificate", "cut", "unreadable"]

_SAID: Final[dict[str, ServiceStatus]] = {
    **dict.fromkeys(("degraded", "warn", "warning", "partial", "unready"), "degraded"),
    **dict.fromkeys(("down", "fail", "failed", "error", "unhealthy", "out_of_service"), "down"),
}
"""What health endpoints say of themselves; any other word, and none, counts as well."""
_WHY: Final[dict[ProbeFailure, str]] = {
    "timeout": "it does not answer in time",
    "unreachable": "nothing accepts connections there",
    "unknown_host": "the name of its host is not known",
    "certificate": "its certificate is not valid",
    "cut": "it closed the connection before it had answered",
    "unreadable": "its answer is not HTTP",
}
_NOT_CHECKED: Final = "not checked yet"


class ProbeOutcome(NamedTuple):
    """What one probe met: an answer with this HTTP status, or a failure."""

    http_status: int | None = None
    said: str | None = None
    """The `status` in its JSON body, if it has one."""
    failure: ProbeFailure | None = None
    latency_ms: float | None = None


class ServiceRow(msgspec.Struct, frozen=True):
    """How one service is."""

    name: str
    status: ServiceStatus
    latency_ms: float | None
    """From the request to the end of the answer; null without an answer."""
    checked_at: datetime | None
    """Null before the first check, while it counts as `degraded`."""
    since: datetime
    """When it got this status."""
    detail: str | None
    """Why it is not `ok`."""


class ServiceRows(msgspec.Struct, frozen=True):
    """All services, in the order of the settings."""

    services: Sequence[ServiceRow]


def unchecked(name: str, now_ms: int) -> ServiceRow:
    """A service that was not probed yet."""
    return ServiceRow(name, "degraded", None, None, moment(now_ms), _NOT_CHECKED)


def checked(row: ServiceRow, outcome: ProbeOutcome, now_ms: int) -> ServiceRow:
    """The service after a probe that ended now."""
    now = moment(now_ms)
    status, detail = judged(outcome)
    is_new = row.checked_at is None or row.status != status
    return ServiceRow(
        row.name, status, outcome.latency_ms, now, now if is_new else row.since, detail
    )


def judged(outcome: ProbeOutcome) -> tuple[ServiceStatus, str | None]:
    """The status of the table above, and for people why it is not ok. It names no address."""
    code = outcome.http_status
    if outcome.failure is not None or code is None:
        return "down", _WHY[outcome.failure or "cut"]
    if code >= 500:
        return "down", f"it answers {code}"
    if code == 429:
        return "degraded", "it answers 429: it has too much to do"
    if code >= 400:
        return "degraded", f"it answers {code}: it does not take our probe"
    if not 200 <= code < 300:
        return "degraded", f"it answers {code}: its health has another address"
    status = _SAID.get((outcome.said or "").lower(), "ok")
    return status, None if status == "ok" else f"it says {status} of itself"


def moment(ms: int) -> datetime:
    """Milliseconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(ms / 1e3, UTC)

"""The exception tree, and one table: error code to HTTP status and close code."""

from dataclasses import dataclass
from enum import Enum, StrEnum

from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.protocol.notices import Details


class ErrorCode(StrEnum):
    """The codes of the REST envelope and of `err` messages."""

    VALIDATION = "VALIDATION"
    RUN_NOT_FOUND = "RUN_NOT_FOUND"
    NO_DATA = "NO_DATA"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    RANGE = "RANGE"
    NOT_SUBSCRIBED = "NOT_SUBSCRIBED"
    ALREADY_SUBSCRIBED = "ALREADY_SUBSCRIBED"
    LIMIT = "LIMIT"
    RATE_LIMITED = "RATE_LIMITED"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    BACKEND_UNAVAILABLE = "BACKEND_UNAVAILABLE"
    BACKEND_TIMEOUT = "BACKEND_TIMEOUT"
    BUSY = "BUSY"
    FEATURE_DISABLED = "FEATURE_DISABLED"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    FRAMES_SKIPPED = "FRAMES_SKIPPED"
    SOURCE_UNAVAILABLE = "SOURCE_UNAVAILABLE"
    JOB_NOT_FOUND = "JOB_NOT_FOUND"
    CONFLICT = "CONFLICT"
    ORDER_OUTCOME_UNKNOWN = "ORDER_OUTCOME_UNKNOWN"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The HTTP status of an error code, and the close code if the error closes the socket."""

    status: int
    close: CloseCode | None = None


OUTCOMES = {
    ErrorCode.VALIDATION: Outcome(422),
    ErrorCode.RUN_NOT_FOUND: Outcome(404),
    ErrorCode.NO_DATA: Outcome(404),
    ErrorCode.NOT_FOUND: Outcome(404),
    ErrorCode.METHOD_NOT_ALLOWED: Outcome(405),
    ErrorCode.UNAUTHORIZED: Outcome(401, CloseCode.UNAUTHORIZED),
    ErrorCode.FORBIDDEN: Outcome(403, CloseCode.FORBIDDEN),
    ErrorCode.RANGE: Outcome(400),
    ErrorCode.NOT_SUBSCRIBED: Outcome(409),
    ErrorCode.ALREADY_SUBSCRIBED: Outcome(409),
    ErrorCode.LIMIT: Outcome(503),
    ErrorCode.RATE_LIMITED: Outcome(429),
    ErrorCode.PAYLOAD_TOO_LARGE: Outcome(413),
    ErrorCode.BACKEND_UNAVAILABLE: Outcome(502),
    ErrorCode.BACKEND_TIMEOUT: Outcome(504),
    ErrorCode.BUSY: Outcome(503),
    ErrorCode.FEATURE_DISABLED: Outcome(503),
    # On streams only, for viewers that did not subscribe to `run`.
    ErrorCode.FRAMES_SKIPPED: Outcome(502),
    ErrorCode.SOURCE_UNAVAILABLE: Outcome(503),
    ErrorCode.JOB_NOT_FOUND: Outcome(404),
    ErrorCode.CONFLICT: Outcome(409),
    ErrorCode.ORDER_OUTCOME_UNKNOWN: Outcome(502),
    ErrorCode.INTERNAL: Outcome(500, CloseCode.INTERNAL),
}


class BffError(Exception):
    """An error for a client: `code` for programs; `message` says what happened and what to do."""

    code = ErrorCode.INTERNAL
    retry_after_s: int | None = None
    challenge: str | None = None
    """The `WWW-Authenticate` of an answer that asks for an API key."""

    def __init__(
        self, message: str, *, details: Details | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or {}
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s

    @property
    def outcome(self) -> Outcome:
        """HTTP status and close code of this error."""
        return OUTCOMES[self.code]


class InvalidRequest(BffError):
    """A parameter or message is invalid."""

    code = ErrorCode.VALIDATION


class RunNotFound(BffError):
    """The backend knows no such run."""

    code = ErrorCode.RUN_NOT_FOUND


class NoData(BffError):
    """The backend has no bars there."""

    code = ErrorCode.NO_DATA


class NotFound(BffError):
    """There is no such endpoint."""

    code = ErrorCode.NOT_FOUND


class MethodNotAllowed(BffError):
    """The endpoint does not take this method."""

    code = ErrorCode.METHOD_NOT_ALLOWED


class Unauthorized(BffError):
    """The backend asks for credentials, or for others."""

    code = ErrorCode.UNAUTHORIZED


class ApiKeyRequired(Unauthorized):
    """An API key is missing, or is not, or no longer, one of ours."""

    challenge = 'ApiKey realm="hewston-bff", header="X-API-Key"'


class Forbidden(BffError):
    """The backend refuses these credentials, or we refuse this origin or API key."""

    code = ErrorCode.FORBIDDEN


class PositionOutOfRange(BffError):
    """A position that the run does not have."""

    code = ErrorCode.RANGE


class NotSubscribed(BffError):
    """No subscription on this socket has this number."""

    code = ErrorCode.NOT_SUBSCRIBED


class AlreadySubscribed(BffError):
    """Another subscription uses this request id."""

    code = ErrorCode.ALREADY_SUBSCRIBED


class LimitReached(BffError):
    """A configured limit was reached."""

    code = ErrorCode.LIMIT


class RateLimited(BffError):
    """Too many requests in too short a time."""

    code = ErrorCode.RATE_LIMITED
    retry_after_s = 10


class BackendUnavailable(BffError):
    """The backend did not answer, or its answer cannot be understood."""

    code = ErrorCode.BACKEND_UNAVAILABLE


class BackendTimeout(BffError):
    """The backend did not answer in time."""

    code = ErrorCode.BACKEND_TIMEOUT


class PayloadTooLarge(BffError):
    """The body is larger than the limit."""

    code = ErrorCode.PAYLOAD_TOO_LARGE


class FeatureDisabled(BffError):
    """The operator switched this feature off."""

    code = ErrorCode.FEATURE_DISABLED


class Busy(BffError):
    """The server is draining or full: try again later."""

    code = ErrorCode.BUSY
    retry_after_s = 2


class SourceUnavailable(BffError):
    """The Redis of a topic, or of jobs, does not answer now."""

    code = ErrorCode.SOURCE_UNAVAILABLE
    retry_after_s = 2


class OrderOutcomeUnknown(BffError):
    """An order was sent, and no answer tells what became of it."""

    code = ErrorCode.ORDER_OUTCOME_UNKNOWN


class JobNotFound(BffError):
    """There is no such job, or it was forgotten."""

    code = ErrorCode.JOB_NOT_FOUND


class Conflict(BffError):
    """What is asked for does not agree with what is there."""

    code = ErrorCode.CONFLICT


REFUSALS = (RunNotFound, Unauthorized, Forbidden)
"""The backend's clear no to whoever asks for a run."""
OUTAGES = (BackendUnavailable, BackendTimeout, Busy, RateLimited)
"""Errors that say nothing of what was asked for: what was known stays known."""


# -- what the backend's statuses come to


class Subject(Enum):
    """What the backend was asked for; the value names it in messages."""

    RUN = "this run"
    STREAM = "the stream of this run"
    PART = "this part of the run"
    BARS = "these bars"


_UNEXPECTED = "the backend answered {status}: try again in a moment"
_BAD_BARS = (InvalidRequest, "the backend refuses symbol, from or to: check them")
_BACKEND_STATUSES: dict[int, dict[Subject | None, tuple[type[BffError], str]]] = {
    400: {Subject.BARS: _BAD_BARS},
    401: {
        Subject.STREAM: (Unauthorized, "the backend refuses {}: send other credentials"),
        None: (Unauthorized, "the backend wants credentials: send an Authorization header"),
    },
    403: {None: (Forbidden, "the backend does not allow you {}")},
    404: {
        Subject.BARS: (NoData, "the backend has no bars there: check symbol, from and to"),
        None: (RunNotFound, "the backend has no such run: check the id"),
    },
    422: {Subject.BARS: _BAD_BARS},
    429: {None: (RateLimited, "the backend has had too many requests: try later")},
}
"""Status → subject → error; None stands for all subjects that have no row of their own."""


def backend_error(status: int, subject: Subject) -> BffError:
    """The error that an answer of the backend with this status comes to; 200 is none."""
    rows = _BACKEND_STATUSES.get(status, {})
    error, message = rows.get(subject) or rows.get(None) or (BackendUnavailable, _UNEXPECTED)
    return error(message.format(subject.value, status=status))


def error_of(code: str, message: str, details: Details) -> BffError:
    """The error of a code, message and details that another part of the service recorded."""
    kinds = {kind.code: kind for kind in BffError.__subclasses__()}
    return kinds.get(ErrorCode(code), BffError)(message, details=details)

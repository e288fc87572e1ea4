"""Structured logs: one JSON object a line, with the request's id bound as context.

A line that cannot be written fails nothing else: it is counted, and the count is logged as soon as
lines can be written again.
"""

import errno
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import TextIO

import structlog
from aiohttp.http_exceptions import HttpProcessingError
from structlog.typing import EventDict, WrappedLogger


def configure_logging(*, level: str, fmt: str) -> None:
    """Send events of ours and of the standard library through one chain to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        _service,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if fmt == "json"
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    traceback = structlog.processors.ExceptionRenderer(
        # Local variables may hold credentials.
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    last: list[structlog.typing.Processor] = [traceback] if fmt == "json" else []

    def recovered(dropped: int) -> str:
        event: EventDict = {"event": "log.recovered", "dropped": dropped}
        line: object = event
        for process in (*shared, renderer):
            line = process(None, "warning", line)  # type: ignore[arg-type]  # the last makes text
        return f"{line}\n"

    sink = LogSink(_writer(sys.stderr), recovered=recovered)
    structlog.configure(
        processors=[*shared, *last, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(file=sink),  # type: ignore[arg-type]  # it writes and flushes
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *last,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Our own access lines say it better, and with the request's id.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").filters = [_BadRequestsAreBrief()]


class Lines:
    """Count of log lines that this process could not write."""

    dropped = 0


class LogSink:
    """Writes lines; a full disk or a closed pipe costs lines, and nothing else.

    `write` takes bytes and returns how many it wrote, or raises OSError.
    """

    def __init__(
        self, write: Callable[[bytes], int], *, recovered: Callable[[int], str] | None = None
    ) -> None:
        self._write = write
        self._recovered = recovered
        self._untold = 0
        self._is_torn = False
        self._lock = Lock()

    def write(self, text: str) -> int:
        """Write one line, or count it as dropped; returns the length of `text` either way."""
        with self._lock:
            if not self._put(text):
                self._untold += 1
                Lines.dropped += 1
            elif self._untold and self._recovered is not None:
                untold, self._untold = self._untold, 0
                if not self._put(self._recovered(untold)):
                    self._untold = untold
        return len(text)

    def flush(self) -> None:
        """Do nothing: no line is buffered."""

    def _put(self, text: str) -> bool:
        """Whether all of `text` was written. After half a line the next begins on a new one."""
        rest = text.encode("utf-8", "backslashreplace")
        if self._is_torn:
            rest = b"\n" + rest
        size = len(rest)
        try:
            while rest:
                rest = rest[self._write(rest) :]
        except (OSError, ValueError):
            self._is_torn = self._is_torn or 0 < len(rest) < size
            return False
        self._is_torn = False
        return True


def say(text: str, stream: TextIO | None) -> None:
    """Print `text` for people; a stream that cannot be written is ignored."""
    # Its own buffer would keep what could not be written, and fail again as the process ends.
    sink = LogSink(_writer(stream))
    sink.write(text)


def _writer(stream: TextIO | None) -> Callable[[bytes], int]:
    """A function that writes bytes to `stream` past its buffer, which would keep failed writes."""
    if stream is None:
        # It was closed before we started: its descriptor may be a socket's by now.
        return _refuse
    with suppress(OSError, ValueError):
        descriptor = stream.fileno()
        return lambda data: os.write(descriptor, data)

    def write(data: bytes) -> int:
        stream.write(data.decode("utf-8", "replace"))
        stream.flush()
        return len(data)

    return write


def _refuse(_: bytes) -> int:
    raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class _BadRequestsAreBrief(logging.Filter):
    """Logs a malformed HTTP request as one line, not as an error with a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.exc_info = None
            record.msg += f": {type(error).__name__}"
        return True


def _service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["service"] = "bff"
    return event

"""Structured logs: one JSON object a line, with the request's id bound as context."""

import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import TextIO

import structlog
from aiohttp.http_exceptions import HttpProcessingError
from structlog.typing import EventDict, WrappedLogger


class LogStream:
    """A stream that never fails: lines that it can't write are dropped, counted, and told of later.

    Without it a full disk, or a pipe that nobody reads, would be an error of every request.
    """

    def __init__(self, file: TextIO, *, told: Callable[[int], str]) -> None:
        """Write to `file`; `told` makes the line that says how many lines were dropped."""
        self._file = file
        self._told = told
        self._lock = Lock()
        self._dropped = 0
        self._is_torn = False

    def write(self, text: str) -> int:
        """Write one line with its end, or count it as dropped."""
        with self._lock:
            if self._dropped:
                if not self._put(self._told(self._dropped) + "\n"):
                    self._dropped += 1
                    return len(text)
                self._dropped = 0
            if not self._put(text):
                self._dropped += 1
        return len(text)

    def flush(self) -> None:
        """Nothing: each line is written at once."""

    def _put(self, text: str) -> bool:
        """Write all of it, on a line of its own; False if that fails."""
        data = ("\n" + text if self._is_torn else text).encode("utf-8", "backslashreplace")
        # Below the buffers: they would keep what could not be written, and fail again with it.
        raw = getattr(getattr(self._file, "buffer", None), "raw", None)
        with suppress(OSError, ValueError):
            if raw is None:
                self._file.write(data.decode())
                self._file.flush()
                return True
            while data:
                written = raw.write(data)
                if not written:
                    return False
                data = data[written:]
                self._is_torn = bool(data)
            return True
        return False


def configure_logging(*, level: str, fmt: str) -> None:
    """Send our events and the standard library's through one chain to standard error's stream."""
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
        # Locals of frames may hold credentials.
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    last: list[structlog.typing.Processor] = [traceback] if fmt == "json" else []
    at_end = [structlog.processors.add_log_level, shared[2], _service, renderer]
    stream = LogStream(sys.stderr, told=lambda lines: _dropped(lines, at_end))
    structlog.configure(
        processors=[*shared, *last, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        # All it needs of a file is there.
        logger_factory=structlog.WriteLoggerFactory(file=stream),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
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


def _dropped(lines: int, processors: list[structlog.typing.Processor]) -> str:
    """What is said of dropped lines, as any other event."""
    event: object = {"event": "log.dropped", "lines": lines}
    for process in processors:
        event = process(None, "warning", event)  # type: ignore[arg-type]  # the last makes text
    return str(event)


class _BadRequestsAreBrief(logging.Filter):
    """What is no HTTP is the sender's trouble: a line, not an error with our traceback."""

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

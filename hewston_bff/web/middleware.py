"""Around every request: its id, its log line, and errors as the envelope."""

import re
from time import perf_counter
from uuid import uuid4

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from hewston_bff.errors import BffError, ErrorCode, Forbidden, MethodNotAllowed, NotFound
from hewston_bff.protocol.notices import Details
from hewston_bff.web.keys import CORRELATION_ID

logger = structlog.get_logger("http")

GONE = 499
"""The status in the log, nowhere else, of a client that left before its answer."""
HEADER = "X-Correlation-ID"
_CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class ErrorBody(msgspec.Struct):
    """What went wrong: `code` for programs, `message` for people, with what to do."""

    code: ErrorCode
    message: str
    details: Details
    correlation_id: str


class ErrorEnvelope(msgspec.Struct):
    """Every error that we make."""

    error: ErrorBody


@web.middleware
async def correlate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, bind it to the log, and write the access line."""
    offered = request.headers.get(HEADER, "")
    correlation_id = offered if _CORRELATION_ID.fullmatch(offered) else uuid4().hex
    request[CORRELATION_ID] = correlation_id
    start_s = perf_counter()
    status = GONE
    with structlog.contextvars.bound_contextvars(request_id=correlation_id):
        try:
            response = await handler(request)
            status = response.status if await _send(request, response) else GONE
        except web.HTTPException as exc:
            status = exc.status
            raise
        finally:
            latency_ms = round((perf_counter() - start_s) * 1e3, 2)
            logger.info(
                "http.access",
                method=request.method,
                path=_shown_path(request),
                status=status,
                latency_ms=latency_ms,
            )
    return response


def _shown_path(request: web.Request) -> str:
    """The path for the log, without the id that lets a client speak to its event stream."""
    secret = request.match_info.get("stream_id")
    return request.path if secret is None else request.path.replace(secret, "{stream_id}")


async def _send(request: web.Request, response: web.StreamResponse) -> bool:
    """Send what is still to be sent, as aiohttp would right after us; False if nobody is there."""
    try:
        await response.prepare(request)
        await response.write_eof()
    except ConnectionError:
        return False
    return True


async def add_correlation_id(request: web.Request, response: web.StreamResponse) -> None:
    """Put the id on every response, streams and handshakes included (`on_response_prepare`)."""
    response.headers[HEADER] = request.get(CORRELATION_ID, "-")


@web.middleware
async def envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors into the envelope; the unforeseen is logged whole and told briefly."""
    try:
        return await handler(request)
    except BffError as error:
        return error_response(request, error)
    except web.HTTPNotFound:
        return error_response(
            request, NotFound("no such address: see the README for what there is")
        )
    except web.HTTPMethodNotAllowed as exc:
        message = (
            f"{request.method} is not possible here: use {', '.join(sorted(exc.allowed_methods))}"
        )
        response = error_response(request, MethodNotAllowed(message))
        response.headers["Allow"] = exc.headers["Allow"]
        return response
    except web.HTTPForbidden as exc:
        return error_response(request, Forbidden(exc.text or "not allowed"))
    except web.HTTPException:
        raise
    except Exception:
        logger.exception("http.crashed", path=_shown_path(request))
        return error_response(request, BffError("an error on our side; it was logged"))


@web.middleware
async def let_go(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A client that leaves while the head or the end of its answer is written is no error."""
    try:
        return await handler(request)
    except ConnectionError:
        if not _is_gone(request):
            raise
        return web.Response(status=GONE)


def _is_gone(request: web.Request) -> bool:
    """Whether the client's connection is lost, or about to be."""
    transport = request.transport
    return transport is None or transport.is_closing()


def error_response(request: web.Request, error: BffError) -> web.Response:
    """An error as the contract's envelope."""
    body = ErrorEnvelope(
        ErrorBody(error.code, error.message, dict(error.details), request.get(CORRELATION_ID, "-"))
    )
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    if error.challenge is not None:
        headers["WWW-Authenticate"] = error.challenge
    return web.Response(
        status=error.outcome.status,
        body=msgspec.json.encode(body),
        content_type="application/json",
        headers=headers,
    )

"""What declares an endpoint: one value, next to its handler.

Routes, rate limits, feature switches and the documents are made from these declarations; nothing
else lists addresses.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

import msgspec
from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict

from hewston_bff.errors import BffError, FeatureDisabled, RateLimited
from hewston_bff.feature_flags import Feature
from hewston_bff.net.limits.rate_limits import RouteClass
from hewston_bff.protocol.dialects import Dialect

JSON = "application/json"
Model = type[BaseModel] | type[msgspec.Struct]
RequestHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PATTERN = re.compile(r":[^{}]+(?=})")


class DocumentedModel(BaseModel):
    """A body or query that no model checks here: built with the document, not at import."""

    model_config = ConfigDict(defer_build=True)


class Tag(StrEnum):
    """What endpoints are sorted by."""

    CHARTS = "Chart data"
    RUNS = "Run data"
    STREAMS = "Streams"
    TOPICS = "Topics"
    JOBS = "Jobs"
    OPERATIONS = "Operations"
    DASHBOARD = "A trading dashboard's own"
    ACCOUNT = "Market-connectivity service"
    BACKEND = "Backend"
    UNPREFIXED = "Backend, without the prefix"
    PAGES = "Pages and documents"


class Header(NamedTuple):
    """A header that an endpoint listens to."""

    name: str
    description: str
    pattern: str | None = None


class ApiAnswer(NamedTuple):
    """An answer that is no error of ours. Without a model its body is any of its type.

    `or_type`: what the body may be instead, unmodelled.
    """

    status: int | Literal["default"]
    description: str
    model: Model | None = None
    content_type: str | None = JSON
    or_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method of one address, what is asked and answered there, and who answers."""

    name: str
    """The operation's id in the OpenAPI document."""
    path: str
    handler: RequestHandler
    tag: Tag
    summary: str
    answers: tuple[ApiAnswer, ...]
    description: str = ""
    methods: tuple[str, ...] = (hdrs.METH_GET,)
    """The first is the documented one. `HEAD` comes with `GET`."""
    query: Model | None = None
    """Its members are the parameters."""
    headers: tuple[Header, ...] = ()
    body: Model | tuple[Model, ...] | None = None
    """What is sent there; several: one of them."""
    errors: tuple[type[BffError], ...] = ()
    """Those that its handler raises; what limit and feature raise comes by itself."""
    limit: RouteClass | None = None
    """The endpoints with which its requests are counted; None: no limit."""
    feature: Feature | None = None
    """What has to be switched on for it."""
    dialect: Dialect | None = None
    """What is said there, where it is part of the stream protocol."""
    is_for_viewers: bool = False
    """Whether the caller's credentials go to the backend."""
    has_slash_variant: bool = False
    """Whether the same path with a slash too many is served as well, and not documented."""
    is_of_console: bool = False
    """Whether it is there only with the console, and for its own pages alone: without CORS."""

    @property
    def method(self) -> str:
        """The documented method, in lower case as documents have it."""
        return self.methods[0].lower()

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths under which it is served."""
        return (self.path, f"{self.path}/") if self.has_slash_variant else (self.path,)

    @property
    def documented_path(self) -> str:
        """The path without the patterns of its variables."""
        return _PATTERN.sub("", self.path)

    @property
    def all_errors(self) -> tuple[type[BffError], ...]:
        """What may go wrong, also before its handler."""
        limited = () if self.limit is None else (RateLimited,)
        switched = () if self.feature is None else (FeatureDisabled,)
        return (*self.errors, *limited, *switched)


IF_NONE_MATCH = Header("If-None-Match", "The tag of what the caller has.")

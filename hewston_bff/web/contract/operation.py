"""What one address takes and gives."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from hewston_bff.errors import BffError
from hewston_bff.web.contract.schemas import Model

JSON = "application/json"


class Tag(StrEnum):
    """What addresses are sorted by."""

    CHARTS = "Chart data"
    RUNS = "Run data"
    STREAMS = "Streams"
    OPERATIONS = "Operations"
    BACKEND = "Backend"
    UNPREFIXED = "Backend, without the prefix"
    PAGES = "Pages and documents"


class Header(NamedTuple):
    """A header that an address listens to."""

    name: str
    description: str
    pattern: str | None = None


class Answer(NamedTuple):
    """An answer that is no error of ours. Without a model its body is any of its type.

    `or_type`: what the body may be instead, unmodelled.
    """

    status: int | Literal["default"]
    description: str
    model: Model | None = None
    content_type: str | None = JSON
    or_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one address. `query`: the model whose members are the parameters."""

    name: str
    path: str
    tag: Tag
    summary: str
    answers: tuple[Answer, ...]
    description: str = ""
    method: Literal["get", "post"] = "get"
    query: Model | None = None
    headers: tuple[Header, ...] = ()
    body: Model | tuple[Model, ...] | None = None
    """What is sent there; several: one of them."""
    errors: tuple[type[BffError], ...] = ()
    is_for_viewers: bool = False
    """Whether the caller's credentials go to the backend."""

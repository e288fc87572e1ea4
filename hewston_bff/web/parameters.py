"""Parameters of an address: given once, checked by a model, refused by name."""

import re
from collections.abc import Iterable
from typing import Annotated, TypeVar
from urllib.parse import unquote, unquote_to_bytes

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ValidationError, WithJsonSchema

from hewston_bff.errors import InvalidRequest
from hewston_bff.protocol.ids import SYMBOL_PATTERN, RunId, is_symbol, parse_run_id

_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")
_COUNT = re.compile(r"\d{1,9}", re.ASCII)
Model = TypeVar("Model", bound=BaseModel)

RUN_ID_RULE = "must be 1 to 128 of A-Z a-z 0-9 . _ - and neither . nor .."
SYMBOL_RULE = (
    "must be 1 to 64 printable characters, without .. or //, a / first, or a space at an end"
)


def _symbol(value: object) -> object:
    if not isinstance(value, str) or not is_symbol(value):
        raise ValueError(SYMBOL_RULE)
    return value


Symbol = Annotated[
    str,
    BeforeValidator(_symbol),
    WithJsonSchema({"type": "string", "pattern": f"^{SYMBOL_PATTERN}$", "examples": ["AAPL"]}),
]


def count(value: object) -> object:
    """Digits and nothing else, before a number is made of them."""
    if isinstance(value, str) and _COUNT.fullmatch(value) is None:
        raise ValueError("must be a whole number")
    return value


def run_id_of(request: web.Request) -> RunId:
    """The run that the address names.

    Raises:
        InvalidRequest: no run can have this id.
    """
    run_id = parse_run_id(request.match_info["run_id"])
    if run_id is None:
        raise _invalid({"run_id": RUN_ID_RULE})
    return run_id


def single_values(request: web.Request, names: Iterable[str]) -> dict[str, str]:
    """The values of those `names` that the query has; what else it has is ignored.

    Raises:
        InvalidRequest: `details` name each parameter that is there more than once, or is no text.
    """
    query = request.query
    given = {name: query.getall(name, ()) for name in names}
    unreadable = given.keys() & _unreadable(request.rel_url.raw_query_string)
    if unreadable:
        raise _invalid(dict.fromkeys(sorted(unreadable), "must be percent-encoded UTF-8"))
    reasons = {name: "must be given once" for name, values in given.items() if len(values) > 1}
    if reasons:
        raise _invalid(reasons)
    return {name: values[0] for name, values in given.items() if values}


def _unreadable(query: str) -> set[str]:
    """Names of parameters whose values are no text; the URL library would pass them as they are."""
    names = set()
    for part in query.split("&") if "%" in query else ():
        name, _, value = part.partition("=")
        try:
            unquote_to_bytes(value).decode()
        except UnicodeDecodeError:
            names.add(unquote(name))
        else:
            names |= {unquote(name)} if _BROKEN.search(value) else set()
    return names


def parameters(request: web.Request, model: type[Model]) -> Model:
    """The query as a `model`.

    Raises:
        InvalidRequest: `details` name each parameter that cannot be, and why.
    """
    names = (field.alias or name for name, field in model.model_fields.items())
    try:
        return model.model_validate(single_values(request, names))
    except ValidationError as exc:
        reasons = {
            str(error["loc"][0]): error["msg"].removeprefix("Value error, ")
            for error in exc.errors(include_input=False)
        }
        raise _invalid(reasons) from exc


def _invalid(reasons: dict[str, str]) -> InvalidRequest:
    message = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    return InvalidRequest(message, details=dict(reasons))

"""Parameters of an address: given once, checked by a model, refused by name."""

import re
from collections.abc import Iterable
from typing import Annotated, TypeVar

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ValidationError, WithJsonSchema

from hewston_bff.core.ids import SYMBOL_PATTERN, RunId, is_symbol, parse_run_id
from hewston_bff.errors import InvalidRequest

_COUNT = re.compile(r"\d{1,9}", re.ASCII)
Model = TypeVar("Model", bound=BaseModel)

SYMBOL_RULE = "must be 1 to 32 of A-Z a-z 0-9 . - _ / ^ =, without .., // or a / first"


def _symbol(value: object) -> object:
    if not isinstance(value, str) or not is_symbol(value):
        raise ValueError(SYMBOL_RULE)
    return value.upper()


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
        reason = "must be 1 to 128 of A-Z a-z 0-9 . _ - and neither . nor .."
        raise _invalid({"run_id": reason})
    return run_id


def single_values(request: web.Request, names: Iterable[str]) -> dict[str, str]:
    """The values of those `names` that the query has; what else it has is ignored.

    Raises:
        InvalidRequest: `details` name each parameter that is there more than once.
    """
    query = request.query
    given = {name: query.getall(name, ()) for name in names}
    reasons = {name: "must be given once" for name, values in given.items() if len(values) > 1}
    if reasons:
        raise _invalid(reasons)
    return {name: values[0] for name, values in given.items() if values}


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

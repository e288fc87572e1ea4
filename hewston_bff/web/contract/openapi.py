"""The OpenAPI document, made from the models that check what comes in and shape what goes out."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

import hewston_bff
from hewston_bff.errors import OUTCOMES, BffError
from hewston_bff.protocol.dialects import QUERY_MEMBERS
from hewston_bff.protocol.ids import RUN_ID_PATTERN
from hewston_bff.topics.job.update import JOB_ID_PATTERN
from hewston_bff.web.contract.schemas import JsonObject, Schemas
from hewston_bff.web.endpoint import JSON, ApiAnswer, Endpoint, Header, Model, Tag
from hewston_bff.web.middleware import HEADER, ErrorEnvelope

_IN_PATH = re.compile(r"\{(\w+)\}")
_PATH_SCHEMAS: dict[str, JsonObject] = {
    "run_id": {"type": "string", "pattern": f"^{RUN_ID_PATTERN}$", "examples": ["demo-day"]},
    "job_id": {"type": "string", "pattern": f"^{JOB_ID_PATTERN}$"},
}
_HEADERS = {
    HEADER: ("The request's own, if it had one; also in our log.", "string"),
    "ETag": ("Comes back as `If-None-Match`.", "string"),
    "WWW-Authenticate": ("That an API key is asked for, and where.", "string"),
    "Retry-After": ("Seconds after which to try again.", "integer"),
    "RateLimit-Limit": ("Requests a minute, if there is a limit.", "integer"),
    "RateLimit-Remaining": ("Those that are left.", "integer"),
    "RateLimit-Reset": ("Seconds until there are more.", "integer"),
}
_LIMITED = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_RETRY_LATER = {429, 503}
_ABOUT = """\
Fewer, faster and safer calls for browsers. `HEAD` is answered like `GET`, without a body; a slash
too many on an address of the backend's is passed on to it. Parameters that are not named here are
ignored, on addresses of the backend's passed on. The caller's `Authorization` and `Cookie` go to
the backend, which decides what they may see. An `X-API-Key` goes nowhere: it is for what the
backend knows nothing of."""


def openapi(endpoints: Sequence[Endpoint]) -> JsonObject:
    """The document of these endpoints. Pure, and takes a tenth of a second."""
    schemas = Schemas()
    paths: dict[str, JsonObject] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint, schemas)
        paths.setdefault(endpoint.documented_path, {})[endpoint.method] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "hewston-bff",
            "version": hewston_bff.__version__,
            "summary": "The Backend-for-Frontend of the Hewston platform",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        # Relative to the document, so that it holds under any prefix.
        "servers": [{"url": "../.."}],
        "tags": [{"name": tag} for tag in Tag],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "headers": {
                name: {"description": description, "schema": {"type": kind}}
                for name, (description, kind) in _HEADERS.items()
            },
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint, schemas: Schemas) -> JsonObject:
    told: JsonObject = {
        "operationId": endpoint.name,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "parameters": [
            *_path_parameters(endpoint.documented_path),
            *_query_parameters(endpoint, schemas),
            *(_header_parameter(header) for header in endpoint.headers),
        ],
        "responses": _responses(endpoint, schemas),
    }
    if endpoint.description:
        told["description"] = endpoint.description
    if endpoint.body is not None:
        told["requestBody"] = _body(endpoint.body, schemas)
    if endpoint.is_for_viewers:
        told["security"] = [{}, {"bearer": []}]
    return told


def _body(body: Model | tuple[Model, ...], schemas: Schemas) -> JsonObject:
    models = body if isinstance(body, tuple) else (body,)
    refs = [schemas.ref(model, side="validation") for model in models]
    schema = refs[0] if len(refs) == 1 else {"oneOf": refs}
    return {"required": True, "content": {JSON: {"schema": schema}}}


def _path_parameters(path: str) -> list[JsonObject]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _PATH_SCHEMAS.get(name, {"type": "string"}),
        }
        for name in _IN_PATH.findall(path)
    ]


def _query_parameters(endpoint: Endpoint, schemas: Schemas) -> list[JsonObject]:
    model = endpoint.query
    if model is None:
        return []
    members, required = schemas.members(model, side="validation")
    # A list of the message's is one parameter, its items separated by commas.
    joined: JsonObject = {}
    if issubclass(model, msgspec.Struct):
        members = {name: members[name] for name in QUERY_MEMBERS}
        joined = {"style": "form", "explode": False}
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _not_null(schema)}
        | (joined if schema.get("type") == "array" else {})
        for name, schema in members.items()
    ]


def _not_null(schema: JsonObject) -> JsonObject:
    """The schema without null, which a query cannot say: what is not given is not there."""
    told = {name: value for name, value in schema.items() if (name, value) != ("default", None)}
    kinds = [kind for kind in told.pop("anyOf", ()) if kind != {"type": "null"}]
    return told | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})


def _header_parameter(header: Header) -> JsonObject:
    schema = {"type": "string"} | ({} if header.pattern is None else {"pattern": header.pattern})
    return {
        "name": header.name,
        "in": "header",
        "description": header.description,
        "schema": schema,
    }


def _responses(endpoint: Endpoint, schemas: Schemas) -> JsonObject:
    # Of streams it is the sockets of an address that are limited, not requests.
    common = (HEADER, *(() if endpoint.limit is None else _LIMITED))
    own = (*common, *("ETag" for one in endpoint.headers if one.name == "If-None-Match"))
    responses = {
        str(answer.status): {**_answer(answer, schemas), "headers": _headers(own)}
        for answer in endpoint.answers
    }
    content = {JSON: {"schema": schemas.ref(ErrorEnvelope)}}
    if "default" in responses:
        # The backend's errors come through: who sees the status does not know whose it is.
        others = responses["default"]["content"]
        either = {"anyOf": [schemas.ref(ErrorEnvelope), others[JSON]["schema"]]}
        content = {**others, JSON: {"schema": either}}
    asks_for_keys = any(error.challenge is not None for error in endpoint.all_errors)
    for status, codes in sorted(_by_status((*endpoint.all_errors, BffError)).items()):
        later = ("Retry-After",) if status in _RETRY_LATER else ()
        challenge = ("WWW-Authenticate",) if status == 401 and asks_for_keys else ()
        headers = _headers((*common, *later, *challenge))
        told = ", ".join(f"`{code}`" for code in codes)
        error = {"description": told, "headers": headers, "content": content}
        responses.setdefault(str(status), error)
    return responses


def _answer(answer: ApiAnswer, schemas: Schemas) -> JsonObject:
    told: JsonObject = {"description": answer.description}
    if answer.content_type is not None:
        schema = {} if answer.model is None else {"schema": schemas.ref(answer.model)}
        told["content"] = {answer.content_type: schema}
    if answer.or_type is not None:
        told["content"][answer.or_type] = {}
    return told


def _headers(names: Iterable[str]) -> JsonObject:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _by_status(errors: Iterable[type[BffError]]) -> dict[int, list[str]]:
    codes = defaultdict(list)
    for error in errors:
        codes[OUTCOMES[error.code].status].append(error.code.value)
    return codes

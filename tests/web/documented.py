"""What the OpenAPI document says of an address, and whether an answer is as it says."""

from dataclasses import dataclass
from typing import Any

import aiohttp
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.support import Message

_URI = "urn:document"
OURS = (
    *("X-Correlation-ID", "ETag", "Retry-After", "WWW-Authenticate"),
    *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
)
_JSON = "application/json"


def validator(document: Message, pointer: str) -> Draft202012Validator:
    """A validator of the schema at `pointer`; what the schemas do not name is not allowed."""
    resource: Resource[Any] = DRAFT202012.create_resource(closed(document))
    registry: Registry[Any] = Registry().with_resource(_URI, resource)
    return Draft202012Validator(
        {"$ref": f"{_URI}#{pointer}"},
        registry=registry,
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


def closed(value: Any) -> Any:
    """A document whose objects have no members but those named, unless they say so themselves."""
    if isinstance(value, list):
        return [closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    members = {name: closed(item) for name, item in value.items()}
    if members.get("type") == "object" and isinstance(members.get("properties"), dict):
        members.setdefault("additionalProperties", False)
    return members


@dataclass(frozen=True)
class Documented:
    """An OpenAPI document."""

    document: Message

    def operations(self) -> set[tuple[str, str]]:
        """All (method, path)."""
        paths: Message = self.document["paths"]
        return {(method, path) for path, methods in paths.items() for method in methods}

    def parameters(self, method: str, path: str, *, place: str) -> list[Message]:
        """The parameters of an operation in `query`, `path` or `header`."""
        listed: list[Message] = self.document["paths"][path][method]["parameters"]
        return [one for one in listed if one["in"] == place]

    def resolved(self, schema: Message) -> Message:
        """A schema, or the one that it refers to."""
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    async def check(
        self, response: aiohttp.ClientResponse, path: str, *, method: str = "get"
    ) -> None:
        """Assert that the document has this status, these headers of ours, this type and body."""
        answer = self._answer(method, path, response.status)
        assert {name for name in OURS if name in response.headers} <= answer["headers"].keys()
        content = answer.get("content")
        if content is None:
            assert await response.read() == b""
            return
        assert response.content_type in content or "*/*" in content
        if "schema" in content.get(response.content_type, {}):
            self.body(method, path, response.status).validate(await response.json())

    def body(self, method: str, path: str, status: int) -> Draft202012Validator:
        """A validator of the JSON of an answer."""
        key = self._answer(method, path, status)["key"]
        parts = (*("paths", path, method, "responses", key, "content"), _JSON, "schema")
        pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
        return validator(self.document, pointer)

    def _answer(self, method: str, path: str, status: int) -> Message:
        answers = self.document["paths"][path][method]["responses"]
        key = str(status) if str(status) in answers else "default"
        assert key in answers, f"{method} {path} does not know {status}"
        return {**answers[key], "key": key}

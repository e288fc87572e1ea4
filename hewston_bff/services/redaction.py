"""Secrets taken out of another service's JSON. Pure."""

from collections.abc import Collection, Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus

REMOVED: Final = "[removed]"
_TOKENS: Final = ("token", "accesstoken", "sessiontoken", "authtoken", "jwt", "sessionid")
_SECRET_WORDS: Final = (
    *("token", "secret", "password", "jwt", "session", "cookie", "authorization"),
    *("credential", "apikey"),
)


def token_of(answer: Any) -> str | None:  # noqa: ANN401 - any JSON
    """The session's token in the answer to a login: the outermost of the names it may have."""
    for level in _levels(answer):
        named = {_plain(name): value for members in level for name, value in members.items()}
        for name in _TOKENS:
            value = named.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return str(value)
    return None


def _levels(answer: Any) -> Iterator[list[dict[str, Any]]]:  # noqa: ANN401
    """The objects of a JSON value, level by level, the outermost first."""
    level = [answer]
    while level:
        found = [value for value in level if isinstance(value, dict)]
        yield found
        inner = [value for members in found for value in members.values()]
        level = inner + [item for value in level if isinstance(value, list) for item in value]


def without_secret_members(value: Any) -> Any:  # noqa: ANN401
    """JSON without the members whose names say that they are secret, at any depth."""
    if isinstance(value, dict):
        return {
            name: without_secret_members(inner)
            for name, inner in value.items()
            if not any(word in _plain(name) for word in _SECRET_WORDS)
        }
    return [without_secret_members(item) for item in value] if isinstance(value, list) else value


def without_secrets(value: Any, secrets: Collection[str]) -> Any:  # noqa: ANN401
    """JSON in which no text, name or number has one of these, plain or percent-encoded."""
    forms = {form for one in secrets for form in (one, quote(one, safe=""), quote_plus(one))}
    return _redacted(value, sorted(forms - {""}, key=len, reverse=True))


def _redacted(value: Any, forms: list[str]) -> Any:  # noqa: ANN401
    match value:
        case str():
            for form in forms:
                value = value.replace(form, REMOVED)
            return value
        case dict():
            return {
                _redacted(name, forms): _redacted(inner, forms) for name, inner in value.items()
            }
        case list():
            return [_redacted(item, forms) for item in value]
        case bool() | None:
            return value
        case _:
            return REMOVED if str(value) in forms else value


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")

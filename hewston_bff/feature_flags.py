"""What the operator can switch off, and the text that says so."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

_WORDS = {
    **dict.fromkeys(("true", "1", "on", "yes"), True),
    **dict.fromkeys(("false", "0", "off", "no"), False),
}


class BadFeatures(Exception):
    """A features file that makes no sense; the text says why."""


class Feature(StrEnum):
    """By the name that frontends know."""

    CHART_DATA = "chart_data_aggregation"
    RUN_DATA = "run_data_aggregation"
    WEBSOCKET_PROXY = "websocket_proxy"


VARIABLES = {
    "BFF_FEATURE_CHART_AGGREGATION": Feature.CHART_DATA,
    "BFF_FEATURE_RUN_AGGREGATION": Feature.RUN_DATA,
    "BFF_FEATURE_WEBSOCKET_PROXY": Feature.WEBSOCKET_PROXY,
}
_NAMES = {**{feature.value: feature for feature in Feature}, **VARIABLES}


def parse_features(data: bytes) -> dict[Feature, bool]:
    """What a features file switches: a JSON object, alone or as `features`, or lines of KEY=value.

    Keys are the features' names or their variables'. Nothing at all is no file: it is one that is
    just being written.

    Raises:
        BadFeatures: something in it is neither; the text says what.
    """
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as exc:
        raise BadFeatures("it is not UTF-8") from exc
    if not text:
        raise BadFeatures("it is empty")
    pairs = _from_json(text) if text.startswith("{") else _from_lines(text)
    return {_feature(name): _value(name, value) for name, value in pairs}


def _from_json(text: str) -> Iterable[tuple[str, object]]:
    try:
        found = msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.MsgspecError, RecursionError) as exc:
        msg = f"it is no JSON object: {exc}"
        raise BadFeatures(msg) from exc
    inner = found.get("features", found)
    if not isinstance(inner, dict):
        raise BadFeatures("`features` must be an object")
    return inner.items()


def _from_lines(text: str) -> Iterable[tuple[str, object]]:
    for line in map(str.strip, text.splitlines()):
        if line and not line.startswith("#"):
            name, sign, value = line.partition("=")
            if not sign:
                msg = f"no KEY=value: {line[:80]!r}"
                raise BadFeatures(msg)
            yield name.removeprefix("export ").strip(), value.strip().strip("\"'")


def _feature(name: str) -> Feature:
    try:
        return _NAMES[name]
    except KeyError:
        msg = f"unknown name {name[:80]!r}: use {', '.join(Feature)}"
        raise BadFeatures(msg) from None


def _value(name: str, value: object) -> bool:
    found = _WORDS.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        msg = f"{name} must be true or false"
        raise BadFeatures(msg)
    return found

"""Which streams are read, and how their entries are laid out: the setting, parsed."""

from dataclasses import dataclass
from typing import Final

from hewston_bff.events.pattern import InvalidPattern, Pattern


class InvalidStreams(ValueError):
    """The setting names no streams; the message says why."""


@dataclass(frozen=True, slots=True)
class StreamLayout:
    """How an entry's fields are read.

    `payload`: the field that holds the data; None if all fields together are it.
    `has_own_topic`: whether the field `topic` names the topic; otherwise the stream's key does.
    """

    payload: bytes | None
    has_own_topic: bool


NODE: Final = StreamLayout(payload=b"payload", has_own_topic=True)
"""What a trading node writes: fields `topic` and `payload`, in later releases `type` too."""


class StreamRule:
    """One item of the setting: a key, or a pattern of keys, and their layout."""

    def __init__(self, text: str, layout: StreamLayout) -> None:
        """`text`: a key, or a pattern with `*` and `?`; a backslash makes the next one literal.

        Raises:
            InvalidPattern: it is neither.
        """
        self.text = text
        self.layout = layout
        self._pattern = Pattern(text)
        self.key: bytes | None = None
        """The only key; None of a pattern."""
        if self._pattern.literal is not None:
            self.key = self._pattern.literal.encode()

    def covers(self, key: str) -> bool:
        """Whether the stream of this key is meant."""
        return self._pattern.matches(key)


def parse_streams(text: str, *, has_prefix_topic: bool) -> tuple[StreamRule, ...]:
    r"""The rules of a comma list: `trader-*:stream:*,ticks:global=flat,signals=json:data`.

    `=flat`: all fields are the data. `=json:<field>`: that field holds it. Of both the topic is
    the stream's key, or without `has_prefix_topic` the field `topic`. A comma or an equals sign
    cannot be part of a key here. `*` and `?` are wildcards, of the same meaning as in topics.

    Raises:
        InvalidStreams: it names none, or an item is invalid.
    """
    items = [item.strip() for item in text.split(",") if item.strip()]
    if not items:
        raise InvalidStreams("must name at least one stream")
    return tuple(_rule(item, has_prefix_topic=has_prefix_topic) for item in items)


def _rule(item: str, *, has_prefix_topic: bool) -> StreamRule:
    key, equals, form = item.partition("=")
    kind, _, field = form.partition(":")
    if not equals:
        layout = NODE
    elif form == "flat":
        layout = StreamLayout(payload=None, has_own_topic=not has_prefix_topic)
    elif kind == "json" and field:
        layout = StreamLayout(payload=field.encode(), has_own_topic=not has_prefix_topic)
    else:
        msg = f"{item!r}: what follows `=` must be flat or json:<field>"
        raise InvalidStreams(msg)
    if "[" in key:
        msg = f"{item!r}: of wildcards there are only * and ?"
        raise InvalidStreams(msg)
    try:
        return StreamRule(key, layout)
    except InvalidPattern as exc:
        msg = f"{item!r}: {exc}"
        raise InvalidStreams(msg) from exc


def rule_of(key: str, rules: tuple[StreamRule, ...]) -> StreamRule | None:
    """The first rule that covers the key."""
    return next((rule for rule in rules if rule.covers(key)), None)

"""One entry of a stream, decoded: an event, a heartbeat, or the reason why it is neither."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import Any, Final, NamedTuple

import msgspec

from hewston_bff.events.event import EntryId, Event
from hewston_bff.events.streams_setting import StreamLayout
from hewston_bff.protocol.topics import BUS
from hewston_bff.topics.bus.json_text import on_one_line, with_exact_integers, without_member

Fields = Mapping[bytes, bytes]

STATE_CHANGED: Final = "ComponentStateChanged"
_STATE_TOPICS: Final = "events.system."
_CONFIG: Final = "config"
"""What component state changes hold of the component's configuration, passwords included."""
_MAX_TOPIC_BYTES: Final = 1_024
_MAX_KNOWN: Final = 50_000
_NS: Final = 1_000_000_000
_LAST_NS: Final = 253_402_300_800 * _NS
_EPOCH_START: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - written with a `Z` of our own


class Reason(StrEnum):
    """Why an entry was not delivered, or not as it is."""

    DENIED = "denied"
    NO_TOPIC = "no_topic"
    NO_PAYLOAD = "no_payload"
    TOO_LARGE = "payload_too_large"
    UNREADABLE_STATE = "unreadable_state"
    """A component's state that cannot be decoded, so that nothing can be cut out of it."""
    TEXT = "text"
    BASE64 = "base64"


class _LeftOut(Exception):
    """The entry is not delivered."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class SignOfLife(Enum):
    """An entry that is a sign of life and nothing else."""

    HEARTBEAT = auto()


class _Use(Enum):
    DATA = auto()
    STATE = auto()
    """A component's state."""
    HEARTBEAT = auto()
    DENIED = auto()


class _Known(NamedTuple):
    topic: str
    use: _Use


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeRules:
    """Which topics are what, by name, and how large a payload may be."""

    is_denied: Callable[[str], bool]
    is_heartbeat: Callable[[str], bool]
    payload_bytes: int


class _Peek(msgspec.Struct):
    """The members of a payload that we look at."""

    type: object = None
    ts_event: object = None
    ts_init: object = None


class _Clock:
    """Writes times; thousands of events in a row are of the same whole second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def written(self, ts_ns: int) -> str:
        """RFC 3339, UTC, nine digits of the second."""
        second, ns = divmod(min(ts_ns, _LAST_NS - 1), _NS)
        if second != self._second:
            self._text = (_EPOCH_START + timedelta(seconds=second)).isoformat()
            self._second = second
        return f"{self._text}.{ns:09}Z"


class _Shown(NamedTuple):
    """A payload as JSON, and what it says of itself."""

    data: bytes
    type: object = None
    ts_ns: int = 0


class EntryDecoder:
    """Decodes entries of any layout; counts in `left_out` those it drops or has to wrap."""

    def __init__(self, rules: DecodeRules, *, left_out: dict[str, int]) -> None:
        self._rules = rules
        self._left_out = left_out
        self._known: dict[bytes, _Known] = {}
        self._clock = _Clock()

    def decode(
        self, key: bytes, entry_id: EntryId, fields: Fields, layout: StreamLayout
    ) -> Event | SignOfLife | None:
        """The event of an entry; None if it is left out. It never raises."""
        try:
            known = self._topic(fields.get(b"topic") if layout.has_own_topic else key)
            if known.use is _Use.HEARTBEAT:
                return SignOfLife.HEARTBEAT
            said = fields.get(b"type")
            type_ = said.decode("utf-8", "replace") if said else ""
            is_state = known.use is _Use.STATE or type_ == STATE_CHANGED
            shown = self._data(fields, layout, is_state=is_state)
        except _LeftOut as left:
            self._count(left.reason)
            return None
        if not type_ and isinstance(shown.type, str):
            type_ = shown.type
        ts_ns = shown.ts_ns or entry_id.ms * 1_000_000
        return Event(known.topic, entry_id, self._clock.written(ts_ns), type_, shown.data)

    def _topic(self, name: bytes | None) -> _Known:
        """What is known of a topic. Raises `_LeftOut` if this is no name, or is denied."""
        known = self._known.get(name) if name else None
        if known is None:
            known = self._learn(name)
        if known.use is _Use.DENIED:
            raise _LeftOut(Reason.DENIED)
        return known

    def _data(self, fields: Fields, layout: StreamLayout, *, is_state: bool) -> _Shown:
        """The data of an entry. Raises `_LeftOut` if it has none, or cannot be shown."""
        if layout.payload is None:
            if sum(map(len, fields.values())) > self._rules.payload_bytes:
                raise _LeftOut(Reason.TOO_LARGE)
            return _flat(fields, is_state=is_state or _tells_state(fields))
        payload = fields.get(layout.payload)
        if payload is None:
            raise _LeftOut(Reason.NO_PAYLOAD)
        if len(payload) > self._rules.payload_bytes:
            raise _LeftOut(Reason.TOO_LARGE)
        return self._read(payload, is_state=is_state)

    def _learn(self, name: bytes | None) -> _Known:
        if not name or len(name) > _MAX_TOPIC_BYTES:
            raise _LeftOut(Reason.NO_TOPIC)
        try:
            text = name.decode()
        except UnicodeDecodeError:
            raise _LeftOut(Reason.NO_TOPIC) from None
        if self._rules.is_heartbeat(text):
            use = _Use.HEARTBEAT
        elif self._rules.is_denied(text):
            use = _Use.DENIED
        else:
            use = _Use.STATE if text.startswith(_STATE_TOPICS) else _Use.DATA
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        known = self._known[name] = _Known(f"{BUS}:{text}", use)
        return known

    def _read(self, payload: bytes, *, is_state: bool) -> _Shown:
        """A payload as JSON: it is JSON, or msgpack, or text, or bytes."""
        shown = _read_json(payload) or _read_msgpack(payload)
        if shown is None:
            if is_state or _STATE_BYTES in payload:
                raise _LeftOut(Reason.UNREADABLE_STATE)
            return self._wrap(payload)
        if is_state or _STATE_BYTES in payload:
            try:
                return shown._replace(data=without_member(shown.data, _CONFIG))
            except (msgspec.MsgspecError, RecursionError):
                raise _LeftOut(Reason.UNREADABLE_STATE) from None
        return shown

    def _wrap(self, payload: bytes) -> _Shown:
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            self._count(Reason.BASE64)
            return _Shown(_encode({"base64": b64encode(payload).decode()}))
        self._count(Reason.TEXT)
        return _Shown(_encode({"text": text}))

    def _count(self, reason: Reason) -> None:
        self._left_out[reason.value] = self._left_out.get(reason.value, 0) + 1


def _read_json(payload: bytes) -> _Shown | None:
    """A payload that is JSON, as it is but for what must change; None if it is none.

    The bytes are checked without making objects of them. `NaN` and `Infinity` are no JSON, and
    neither is a surrogate without its other half.
    """
    try:
        if not payload.isascii():
            payload.decode()
        peeked = _peek(payload)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    data = with_exact_integers(on_one_line(payload))
    if peeked is None:
        return _Shown(data)
    ts_ns = _ns(peeked.ts_event) or _ns(peeked.ts_init) or _nested_ns(payload)
    return _Shown(data, peeked.type, ts_ns)


def _peek(payload: bytes) -> _Peek | None:
    """What a JSON payload says of itself; None if it is no object.

    Raises:
        msgspec.MsgspecError, RecursionError: it is no JSON, or too deep.
    """
    try:
        return _PEEK.decode(payload)
    except msgspec.ValidationError:
        # No object; or one of the members is too large a number: the others need not suffer.
        _ANY.decode(payload)
        if payload.lstrip()[:1] != b"{":
            return None
        members = _MEMBERS.decode(payload)
    read: dict[str, object] = {}
    for name in ("type", "ts_event", "ts_init"):
        raw = members.get(name)
        if raw is not None:
            read[name] = _value(bytes(raw))
    return _Peek(**read)


def _value(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:
        return None


def _nested_ns(payload: bytes) -> int:
    """The time in the member `payload`, as signals have it, or in the only member; 0 if none."""
    members = _MEMBERS.decode(payload)
    inner = members.get("payload")
    if inner is None and len(members) == 1:
        inner = next(iter(members.values()))
    if inner is None or bytes(inner)[:1] != b"{":
        return 0
    peeked = _peek(bytes(inner))
    return 0 if peeked is None else _ns(peeked.ts_event) or _ns(peeked.ts_init)


def _read_msgpack(payload: bytes) -> _Shown | None:
    """A payload that is msgpack, as JSON; None if it is none.

    Bytes become base64 text, extensions `{"ext":code,"base64":…}`, timestamps RFC 3339 to the
    microsecond, keys text, numbers that are not finite null.
    """
    try:
        value = _MSGPACK.decode(payload)
        try:
            data = _encode(value)
        except (TypeError, ValueError):
            data = _encode(_with_text_keys(value))
    except (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError, TypeError):
        return None
    if not isinstance(value, dict):
        return _Shown(with_exact_integers(data))
    inner = value.get("payload")
    if inner is None and len(value) == 1:
        inner = next(iter(value.values()))
    ts_ns = _ns_of(value) or (_ns_of(inner) if isinstance(inner, dict) else 0)
    return _Shown(with_exact_integers(data), value.get("type"), ts_ns)


def _ns_of(members: Mapping[Any, object]) -> int:
    return _ns(members.get("ts_event")) or _ns(members.get("ts_init"))


def _with_text_keys(value: object) -> object:
    """With keys that JSON has no text for written as JSON."""
    if isinstance(value, dict):
        return {
            key if isinstance(key, str) else _key(key): _with_text_keys(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_with_text_keys(item) for item in value]
    return value


def _key(key: object) -> str:
    written = _encode(key).decode()
    return written.strip('"') if isinstance(key, bytes | datetime) else written


def _extension(code: int, data: memoryview) -> object:
    return {"ext": code, "base64": b64encode(data).decode()}


def _tells_state(fields: Fields) -> bool:
    """Whether all fields together are a component's state, as a node writes it or otherwise."""
    if fields.get(b"topic", b"").startswith(_STATE_TOPIC_BYTES):
        return True
    return any(_STATE_BYTES in value for value in fields.values())


def _flat(fields: Fields, *, is_state: bool) -> _Shown:
    """All fields as one object of texts; bytes that are no text come as `{"base64":…}`.

    Raises `_LeftOut` if it is a component's state, and nothing can be cut out of a field.
    """
    members: dict[str, object] = {}
    for name, value in fields.items():
        key = name.decode("utf-8", "replace")
        try:
            members[key] = (_without_config(value) if is_state else value).decode()
        except UnicodeDecodeError:
            if is_state:
                raise _LeftOut(Reason.UNREADABLE_STATE) from None
            members[key] = {"base64": b64encode(value).decode()}
    if is_state:
        members.pop(_CONFIG, None)
    return _Shown(_encode(members), members.get("type"), _ns_of(members))


def _without_config(value: bytes) -> bytes:
    """A field without what it may hold of a configuration: JSON is cut, plain words are kept."""
    if value.lstrip()[:1] not in _OPENINGS:
        return value
    try:
        return without_member(value, _CONFIG)
    except (msgspec.MsgspecError, RecursionError):
        raise _LeftOut(Reason.UNREADABLE_STATE) from None


def _ns(value: object) -> int:
    """Nanoseconds since 1970 in an integer or a text of digits; 0 if absent, zero or neither."""
    if isinstance(value, int):
        ns = 0 if isinstance(value, bool) else value
    elif isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20:
        ns = int(value)
    else:
        return 0
    return ns if 0 < ns < _LAST_NS else 0


_STATE_BYTES: Final = STATE_CHANGED.encode()
_STATE_TOPIC_BYTES: Final = _STATE_TOPICS.encode()
_OPENINGS: Final = (b"{", b"[")
_PEEK: Final = msgspec.json.Decoder(_Peek)
_ANY: Final = msgspec.json.Decoder(msgspec.Raw)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MSGPACK: Final = msgspec.msgpack.Decoder(ext_hook=_extension)
_encode = msgspec.json.Encoder().encode

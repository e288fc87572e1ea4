"""What the backend says of a run as a whole, in answer to `GET /backtests/{id}`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

import msgspec

from hewston_bff.protocol.ids import RunId
from hewston_bff.protocol.json_numbers import finite
from hewston_bff.topics.run.identity import NOTHING_TOLD, RunIdentity, identity_in
from hewston_bff.topics.run.link import TERMINAL

RUNNING: Final = "RUNNING"
TRADING_SHARE: Final = 252 / 365.25
"""Days of trading among all days."""

_WHOLE = (
    *("run_id", "status", "strategy_id", "symbol", "created_at", "started_at", "completed_at"),
    *("params", "error_message"),
)
_BRIEF = (
    *("run_id", "status", "strategy_id", "symbol", "created_at", "started_at", "completed_at"),
    *("error_message", "progress"),
)
_FROM_CATALOG = frozenset({*_WHOLE, "duration_ms"})
_DATASET = re.compile(r"(.+?)-\d{4}(-.*)?")
_NULL = msgspec.Raw(b"null")
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PATHS = msgspec.json.Decoder(dict[str, object])
_TEXT_OR_NULL = msgspec.json.Decoder(str | None)
_NUMBER_OR_NULL = msgspec.json.Decoder(float | None)
_TEXT = msgspec.json.Decoder(str)


class MalformedDescription(ValueError):
    """No object that describes a run."""


@dataclass(frozen=True, slots=True)
class RunDescription:
    """One answer of the backend's; None for what it does not say. Equal if it says the same.

    `members` are all members of the answer, as the JSON text that they came as.
    """

    status: str | None = None
    progress: float | None = None
    identity: RunIdentity = NOTHING_TOLD
    """Which run it is: the backend reuses ids."""
    asked_s: float = field(default=0.0, compare=False)
    told_s: float = field(default=0.0, compare=False)
    """When the backend was asked, and when it answered; loop time."""
    days: float | None = field(default=None, compare=False)
    """How many days of the market the run goes over."""
    members: Mapping[str, msgspec.Raw] = field(default_factory=dict, compare=False, repr=False)
    size_bytes: int = field(default=0, compare=False, repr=False)
    """Memory that it takes, about: the length of the answer."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to the run."""
        return self.status in TERMINAL

    def is_overtaken(self, by: "RunDescription") -> bool:
        """Whether it was asked for before the other answer came, and may be older than that."""
        return self.asked_s < by.told_s

    def path(self, name: str) -> str | None:
        """Where an artifact is: `equity_path` and the like."""
        try:
            path = _PATHS.decode(self.members.get("artifacts", _NULL)).get(name)
        except msgspec.MsgspecError:
            return None
        return path if isinstance(path, str) else None

    def with_row(self, row: Mapping[str, object]) -> "RunDescription":
        """The same, with members of the catalog's row that the backend did not give."""
        added = {
            name: _raw(row[name])
            for name in _FROM_CATALOG & row.keys()
            if self.members.get(name, _NULL) == _NULL
        }
        return replace(self, members={**self.members, **added})

    def whole(self) -> bytes:
        """A JSON object: the contract's members, null where nobody gave one, then all others."""
        named = self._named(_WHOLE)
        return msgspec.json.encode({**named, **self.members, **named})

    def brief(self) -> bytes:
        """A JSON object of what changes while a run is being made."""
        return msgspec.json.encode(self._named(_BRIEF))

    def _named(self, names: tuple[str, ...]) -> dict[str, msgspec.Raw]:
        named = {name: self.members.get(name, _NULL) for name in names}
        if named["symbol"] == _NULL:
            named["symbol"] = _raw(_symbol(self.members.get("dataset_id", _NULL)))
        return named


def parse_description(
    run_id: RunId, body: bytes, *, asked_s: float = 0.0, told_s: float = 0.0
) -> RunDescription:
    """The description in an answer of the backend.

    A number that is none, or a member of another type, is as if it were not there; but not the
    status: whoever can't say how a run stands says nothing of it.

    Raises:
        MalformedDescription: it is none.
    """
    try:
        body.decode()
        given = _MEMBERS.decode(finite(body))
        status = _TEXT_OR_NULL.decode(given.get("status", _NULL))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise MalformedDescription(str(exc)) from exc
    return RunDescription(
        status,
        _number(given.get("progress", _NULL)),
        identity_in(given),
        asked_s=asked_s,
        told_s=told_s,
        days=run_days(given.get("run_from", _NULL), given.get("run_to", _NULL)),
        members={"run_id": _raw(run_id), **given},
        size_bytes=len(body),
    )


def run_days(run_from: bytes | msgspec.Raw, run_to: bytes | msgspec.Raw) -> float | None:
    """Days of trading between two JSON values as `"2024-01-02"`; None if they do not say."""
    try:
        first, last = (date.fromisoformat(_TEXT.decode(raw)[:10]) for raw in (run_from, run_to))
    except (msgspec.MsgspecError, ValueError):
        return None
    days = (last - first).days + 1
    return days * TRADING_SHARE if days > 0 else None


def _symbol(dataset_id: msgspec.Raw) -> str | None:
    """`TSLA` of `TSLA-2024-1m`; a symbol may have a hyphen of its own."""
    try:
        text = _TEXT.decode(dataset_id)
    except msgspec.MsgspecError:
        return None
    dated = _DATASET.fullmatch(text)
    return dated[1] if dated else text.partition("-")[0] or None


def _number(raw: msgspec.Raw) -> float | None:
    try:
        number: float | None = _NUMBER_OR_NULL.decode(raw)
    except msgspec.MsgspecError:
        return None
    return number


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))

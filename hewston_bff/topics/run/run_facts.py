"""The backend's description of a run, each member as it came."""

import re
from collections.abc import Mapping

import msgspec

from hewston_bff.protocol.ids import RunId
from hewston_bff.protocol.json_numbers import finite
from hewston_bff.topics.run.identity import RunIdentity, identity_in
from hewston_bff.topics.run.link import TERMINAL

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


class MalformedRun(ValueError):
    """The body is not an object that describes a run."""


class RunFacts:
    """The members of the backend's description; values stay JSON text."""

    def __init__(self, run_id: RunId, members: Mapping[str, msgspec.Raw]) -> None:
        self._run_id = run_id
        self._members = {"run_id": _raw(run_id), **members}

    @property
    def status(self) -> str | None:
        """The run's status."""
        return self._text("status")

    @property
    def identity(self) -> RunIdentity:
        """Which run it is: the backend reuses ids."""
        return identity_in(self._members)

    @property
    def is_over(self) -> bool:
        """Whether the run is over."""
        return self.status in TERMINAL

    def path(self, name: str) -> str | None:
        """The path of an artifact, by name: `equity_path` and the like; None if there is none."""
        try:
            path = _PATHS.decode(self._members.get("artifacts", _NULL)).get(name)
        except msgspec.MsgspecError:
            return None
        return path if isinstance(path, str) else None

    def with_row(self, row: Mapping[str, object]) -> "RunFacts":
        """These members, completed by those of the catalog's row that the backend lacks."""
        added = {
            name: _raw(row[name])
            for name in _FROM_CATALOG & row.keys()
            if self._members.get(name, _NULL) == _NULL
        }
        return RunFacts(self._run_id, {**self._members, **added})

    def whole(self) -> bytes:
        """A JSON object: the contract's members, null where unknown, then all others."""
        named = self._named(_WHOLE)
        return msgspec.json.encode({**named, **self._members, **named})

    def brief(self) -> bytes:
        """A JSON object of the members that change while a run runs."""
        return msgspec.json.encode(self._named(_BRIEF))

    def _named(self, names: tuple[str, ...]) -> dict[str, msgspec.Raw]:
        named = {name: self._members.get(name, _NULL) for name in names}
        if named["symbol"] == _NULL:
            named["symbol"] = _raw(_symbol(self._text("dataset_id")))
        return named

    def _text(self, name: str) -> str | None:
        try:
            return msgspec.json.decode(self._members.get(name, _NULL), type=str | None)
        except msgspec.MsgspecError:
            return None


def parse_facts(run_id: RunId, body: bytes) -> RunFacts:
    """Parse the backend's description of a run.

    Raises:
        MalformedRun: it is not one.
    """
    try:
        body.decode()
        return RunFacts(run_id, _MEMBERS.decode(finite(body)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise MalformedRun(str(exc)) from exc


def _symbol(dataset_id: str | None) -> str | None:
    """`TSLA` of `TSLA-2024-1m`; a symbol may have a hyphen of its own."""
    if not dataset_id:
        return None
    dated = _DATASET.fullmatch(dataset_id)
    return dated[1] if dated else dataset_id.partition("-")[0] or None


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))

"""Fault plans as compact text, for command lines.

One fault is `name[@frame][:value]`: `cut@1000`, `halfopen@50`, `refuse:503`, `refuseconnection`,
`garbage@10[:text]`, `binary@10`, `huge@10[:bytes]`, `slow:500`, `stall@10:seconds`,
`duplicate@10[:times]`, `diverge@40`, `close@100[:code]`, `end`, `nopong`, `nohb`,
`streamerror[:times]`. A script joins faults by `+`; `ok` is a healthy connection.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from hewston_bff.tools.simulator import faults
from hewston_bff.tools.simulator.faults import (
    Connections,
    FaultPlan,
    Forever,
    RandomCuts,
    Script,
    ScriptedFault,
)

_T = TypeVar("_T")

_HEALTHY = "ok"
_RANDOM_CUTS = "randomcuts:"


@dataclass(frozen=True, slots=True)
class _Form:
    make: Callable[..., ScriptedFault]
    value: tuple[str, Callable[[str], object]] | None = None
    has_frame: bool = False
    needs_value: bool = False


def _http_status(text: str) -> int:
    status = int(text)
    if not 400 <= status <= 599:
        raise ValueError
    return status


def _close_code(text: str) -> int:
    code = int(text)
    if not 1000 <= code <= 4999:
        raise ValueError
    return code


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError
    return number


_FORMS = {
    "cut": _Form(faults.CutAt, has_frame=True),
    "halfopen": _Form(faults.HalfOpen, has_frame=True),
    "refuse": _Form(faults.Refuse, ("status", _http_status)),
    "refuseconnection": _Form(faults.RefuseConnection),
    "garbage": _Form(faults.Garbage, ("data", str.encode), has_frame=True),
    "binary": _Form(faults.Binary, has_frame=True),
    "huge": _Form(faults.Huge, ("size_bytes", _count), has_frame=True),
    "slow": _Form(faults.Slow, ("frames_per_s", _positive), needs_value=True),
    "stall": _Form(faults.Stall, ("seconds", _positive), has_frame=True, needs_value=True),
    "duplicate": _Form(faults.Duplicate, ("times", _count), has_frame=True),
    "diverge": _Form(faults.Diverge, has_frame=True),
    "close": _Form(faults.Close, ("code", _close_code), has_frame=True),
    "end": _Form(faults.EndMessage),
    "nopong": _Form(faults.NoPong),
    "nohb": _Form(faults.NoHeartbeat),
    "streamerror": _Form(faults.StreamError, ("times", _count)),
}


def parse_fault(text: str) -> ScriptedFault:
    """One fault.

    Raises:
        ValueError: says which part of the text is wrong.
    """
    head, has_value, value = text.strip().partition(":")
    name, has_frame, frame = head.partition("@")
    form = _FORMS.get(name)
    if form is None:
        msg = f"unknown fault {name!r} in {text!r}; there are {', '.join(sorted(_FORMS))}"
        raise ValueError(msg)
    if form.has_frame != bool(has_frame):
        wanted = "needs a frame, as in" if form.has_frame else "takes no frame, as in"
        msg = f"fault {text!r} {wanted} {name}{'@10' if form.has_frame else ''}"
        raise ValueError(msg)
    arguments: dict[str, object] = {}
    if has_frame:
        arguments["frame"] = _converted(frame, _count, what="frame", text=text)
    if has_value:
        if form.value is None:
            msg = f"fault {text!r} takes no value after ':'"
            raise ValueError(msg)
        key, convert = form.value
        arguments[key] = _converted(value, convert, what=key, text=text)
    elif form.needs_value and form.value is not None:
        msg = f"fault {text!r} needs a value after ':' ({form.value[0]})"
        raise ValueError(msg)
    return form.make(**arguments)


def parse_script(text: str) -> Script:
    """The faults of one connection, `cut@10+slow:50`; `ok` has none.

    Raises:
        ValueError: a fault of it is malformed.
    """
    if text.strip() == _HEALTHY:
        return ()
    return tuple(parse_fault(part) for part in text.split("+"))


def parse_plan(entries: Iterable[str]) -> FaultPlan:
    """A plan of entries `RUN=SCRIPT,SCRIPT,…`, one script a connection; `RUN` may be `*`.

    A last script with a trailing `*` repeats for ever: `demo-day=refuse:503,cut@100*`.
    `RUN=randomcuts:seed/count/max_frames` cuts at random. An entry without `RUN=` is the script of
    every connection not listed.

    Raises:
        ValueError: an entry is malformed.
    """
    default: Script = ()
    connections: dict[str, Connections] = {}
    for entry in entries:
        run_id, is_named, scripts = entry.rpartition("=")
        if is_named:
            connections[run_id] = _connections(scripts)
        else:
            default = parse_script(entry)
    return FaultPlan(default=default, connections=connections)


def _connections(text: str) -> Connections:
    if text.startswith(_RANDOM_CUTS):
        parts = text.removeprefix(_RANDOM_CUTS).split("/")
        if len(parts) != 3:
            msg = f"{text!r} is not randomcuts:seed/count/max_frames"
            raise ValueError(msg)
        seed, count, most = (_converted(part, _count, what="number", text=text) for part in parts)
        return RandomCuts(seed=seed, count=count, max_frames=most)
    scripts: list[Script | Forever] = [parse_script(part.rstrip("*")) for part in text.split(",")]
    if text.endswith("*"):
        scripts[-1] = Forever(parse_script(text.rpartition(",")[2].rstrip("*")))
    return scripts


def _converted(value: str, convert: Callable[[str], _T], *, what: str, text: str) -> _T:
    try:
        return convert(value)
    except ValueError:
        msg = f"bad {what} {value!r} in fault {text!r}"
        raise ValueError(msg) from None

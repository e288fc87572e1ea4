"""Parses a client's messages into commands of a cursor."""

from msgspec.structs import replace

from hewston_bff.errors import InvalidRequest
from hewston_bff.playback.commands import (
    CursorCommand,
    GoLive,
    Pause,
    Play,
    Seek,
    SetSpeed,
    Step,
)
from hewston_bff.ports import Delivery
from hewston_bff.protocol.commands import Ctrl, Mode, Position, Subscribe, speed_error
from hewston_bff.protocol.ids import Epoch
from hewston_bff.protocol.positions import AtEdge, AtIndex, AtTime, Resumed, SeekTarget
from hewston_bff.protocol.times import parse_time


def cursor_command(ctrl: Ctrl, mode: Mode) -> CursorCommand:
    """The command in `ctrl`, for a cursor of this mode.

    Raises:
        InvalidRequest: a value is missing or out of range.
    """
    match ctrl.cmd:
        case "play":
            return Play()
        case "pause":
            return Pause()
        case "live":
            return GoLive()
        case "seek":
            return Seek(place_of(ctrl.ts if ctrl.pos is None else ctrl.pos, "pos"))
        case "speed":
            return SetSpeed(_speed(ctrl, mode))
        case "step":
            return Step(_step(ctrl))


def as_delivered(request: Subscribe, delivery: Delivery) -> Subscribe:
    """The request as a kind of topic delivers it: some deliver in one way only."""
    match delivery:
        case Delivery.CONFLATE:
            return request
        case Delivery.LATEST:
            return replace(request, mode="merge", from_="live")
        case Delivery.EVERY:
            return replace(request, mode="all", speed=0.0)


def start_of(request: Subscribe) -> SeekTarget | None:
    """Where a subscription begins; None is the start of the log.

    Raises:
        InvalidRequest: `from` or `resume` holds no valid position.
    """
    begin: AtIndex | AtTime | AtEdge
    if request.from_ == "start":
        begin = AtIndex(0)
    elif request.from_ == "live":
        begin = AtEdge()
    else:
        begin = place_of(request.from_, "from")
    if request.resume is None:
        return None if begin == AtIndex(0) else begin
    resume = request.resume
    ts_ns = None if resume.ts is None else _time(resume.ts, "resume.ts")
    return Resumed(Epoch(resume.epoch), resume.seq, ts_ns, otherwise=begin)


def place_of(position: Position | None, name: str) -> AtIndex | AtTime:
    """The seek target of a frame index or a time.

    Raises:
        InvalidRequest: it is neither.
    """
    if isinstance(position, int):
        return AtIndex(position)
    if position is None:
        msg = f"`{name}` is missing: give a frame index or an ISO 8601 UTC time"
        raise InvalidRequest(msg)
    return AtTime(_time(position, name))


def _time(text: str, name: str) -> int:
    ts_ns = parse_time(text)
    if ts_ns is None:
        msg = f"`{name}` must be a frame index or an ISO 8601 UTC time"
        raise InvalidRequest(msg)
    return ts_ns


def _speed(ctrl: Ctrl, mode: Mode) -> float:
    speed = ctrl.val if ctrl.val is not None else ctrl.speed
    if not isinstance(speed, int | float):
        raise InvalidRequest("`val` must be a number: the speed")
    reason = speed_error(speed, mode=mode)
    if reason:
        raise InvalidRequest(reason)
    return float(speed)


def _step(ctrl: Ctrl) -> int:
    frames = 1 if ctrl.val is None else ctrl.val
    if not isinstance(frames, int | float) or frames != int(frames) or frames == 0:
        raise InvalidRequest("`val` must be a whole number of frames, not 0")
    return int(frames)

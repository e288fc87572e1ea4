"""Keys of the viewer: bytes of a terminal in, commands of the stream protocol out."""

import os
import re
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

import msgspec

from hewston_bff.tools.viewer.model import WatchModel

SEEK_SHARE = 0.05
MIN_SPEED = 0.01
MAX_SPEED = 100_000.0
_READ_BYTES = 256


class Key(Enum):
    """What a key means here."""

    TOGGLE = auto()
    FASTER = auto()
    SLOWER = auto()
    STEP_BACK = auto()
    STEP_ON = auto()
    SEEK_BACK = auto()
    SEEK_ON = auto()
    START = auto()
    LIVE = auto()
    UP = auto()
    DOWN = auto()
    QUIT = auto()


HELP = (
    "space play/pause · +/− speed · ←/→ frame · PgUp/PgDn or h/l 5 % · Home start · "
    "End or g live · q quit"
)

# Terminals send cursor keys in one of two ways, and Home and End in one of three.
_KEYS = {
    b" ": Key.TOGGLE,
    **dict.fromkeys((b"+", b"=", b"]"), Key.FASTER),
    **dict.fromkeys((b"-", b"_", b"["), Key.SLOWER),
    **dict.fromkeys((b"\x1b[D", b"\x1bOD"), Key.STEP_BACK),
    **dict.fromkeys((b"\x1b[C", b"\x1bOC"), Key.STEP_ON),
    **dict.fromkeys((b"\x1b[5~", b"h"), Key.SEEK_BACK),
    **dict.fromkeys((b"\x1b[6~", b"l"), Key.SEEK_ON),
    **dict.fromkeys((b"\x1b[H", b"\x1bOH", b"\x1b[1~", b"\x1b[7~"), Key.START),
    **dict.fromkeys((b"\x1b[F", b"\x1bOF", b"\x1b[4~", b"\x1b[8~", b"g", b"G"), Key.LIVE),
    **dict.fromkeys((b"\x1b[A", b"\x1bOA", b"k"), Key.UP),
    **dict.fromkeys((b"\x1b[B", b"\x1bOB", b"j"), Key.DOWN),
    **dict.fromkeys((b"q", b"Q"), Key.QUIT),
}
# A sequence of a key unknown here goes as a whole: its bytes are no keys. Source: ECMA-48, 5.4.
_TYPED = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO.|.", re.DOTALL)


def parse(data: bytes) -> list[Key]:
    """The keys in what a terminal sent at once; what means nothing is passed over."""
    return [_KEYS[typed] for typed in _TYPED.findall(data) if typed in _KEYS]


def command(key: Key, model: WatchModel) -> bytes | None:
    """The message that a key comes to where the viewer stands now; None if there is none.

    Notes in the model what the command will change, so that keys pressed in a row add up.
    """
    if key in _COMMANDS:
        return _COMMANDS[key]
    match key:
        case Key.TOGGLE:
            return _ctrl("pause" if model.is_playing else "play")
        case Key.FASTER:
            return _speed(model, 2.0)
        case Key.SLOWER:
            return _speed(model, 0.5)
        case Key.SEEK_BACK:
            return _seek(model, -SEEK_SHARE)
        case Key.SEEK_ON:
            return _seek(model, SEEK_SHARE)
        case Key.START:
            model.sought(0)
            return _ctrl("seek", pos=0)
        case _:
            return None


def ask(model: WatchModel) -> bytes | None:
    """A command that changes nothing, for the newest frame in its answer; None if it is known.

    A log that still fills is not reported on by itself.
    """
    return None if model.is_complete else _ctrl("speed", val=model.speed)


def _speed(model: WatchModel, factor: float) -> bytes:
    model.speed = min(MAX_SPEED, max(MIN_SPEED, model.speed * factor))
    return _ctrl("speed", val=model.speed)


def _seek(model: WatchModel, share: float) -> bytes | None:
    if model.last < 0:
        return None
    way = round(share * (model.last + 1)) or (1 if share > 0 else -1)
    target = min(model.last, max(0, model.seq + way))
    model.sought(target)
    return _ctrl("seek", pos=target)


def _ctrl(cmd: str, **values: float) -> bytes:
    return msgspec.json.encode({"t": "ctrl", "cmd": cmd, **values})


_COMMANDS = {
    Key.STEP_BACK: _ctrl("step", val=-1),
    Key.STEP_ON: _ctrl("step", val=1),
    Key.LIVE: _ctrl("live"),
}


def keyboard() -> int | None:
    """The descriptor that keys come from, or None if nobody sits there."""
    return sys.stdin.fileno() if sys.stdin.isatty() else None


def read(fd: int) -> list[Key]:
    """The keys pressed since the last time; quits when the terminal is gone."""
    try:
        data = os.read(fd, _READ_BYTES)
    except OSError:
        data = b""
    return parse(data) if data else [Key.QUIT]


@contextmanager
def key_by_key(fd: int) -> Iterator[None]:
    """Have a terminal give each key at once and show none; Ctrl-C still interrupts."""
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)

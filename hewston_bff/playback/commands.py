"""What a cursor can be told, one struct a command."""

import msgspec

from hewston_bff.protocol.positions import SeekTarget


class Play(msgspec.Struct, frozen=True):
    """Play; at the end, from the start. While playing it changes nothing."""


class Pause(msgspec.Struct, frozen=True):
    """Stand still."""


class GoLive(msgspec.Struct, frozen=True):
    """Jump to the newest record and follow."""


class Seek(msgspec.Struct, frozen=True):
    """Go elsewhere. A place that does not exist is answered with RANGE and changes nothing."""

    target: SeekTarget


class SetSpeed(msgspec.Struct, frozen=True):
    """Play at another speed."""

    speed: float


class Step(msgspec.Struct, frozen=True):
    """Deliver the next `frames`, or go back by them if below 0; either way pause."""

    frames: int


CursorCommand = Play | Pause | GoLive | Seek | SetSpeed | Step

"""Commands of a cursor, one struct each."""

import msgspec

from hewston_bff.protocol.positions import SeekTarget


class Play(msgspec.Struct, frozen=True):
    """Play; at the end, from the start. No effect while playing."""


class Pause(msgspec.Struct, frozen=True):
    """Pause at the current position."""


class GoLive(msgspec.Struct, frozen=True):
    """Jump to the newest record and follow."""


class Seek(msgspec.Struct, frozen=True):
    """Move to a target. One that does not exist is answered with RANGE and changes nothing."""

    target: SeekTarget


class SetSpeed(msgspec.Struct, frozen=True):
    """Play at another speed."""

    speed: float


class Step(msgspec.Struct, frozen=True):
    """Pause, and deliver the next `frames`, or go back by so many if negative."""

    frames: int


CursorCommand = Play | Pause | GoLive | Seek | SetSpeed | Step

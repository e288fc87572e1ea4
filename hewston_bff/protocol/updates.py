"""The kinds of update that a subscription asks for."""

from enum import Flag, auto

from hewston_bff.protocol.commands import Subscribe


class Updates(Flag):
    """`updates` of `subscribe`."""

    FRAMES = auto()
    ORDERS = auto()
    EQUITY = auto()
    METRICS = auto()
    RUN = auto()

    @property
    def has_frames(self) -> bool:
        """Whether any `frame` message is wanted."""
        return bool(self & (Updates.FRAMES | Updates.ORDERS | Updates.EQUITY))


def updates_of(request: Subscribe) -> Updates:
    """The updates that a request names."""
    updates = Updates(0)
    for name in request.updates:
        updates |= Updates[name.upper()]
    return updates

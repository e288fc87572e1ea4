"""One loop over the clients that get the same bytes."""

from collections.abc import Callable
from typing import Protocol

from hewston_bff.hub.ticker import Ticked, contain

Offer = Callable[[bytes], bool]
"""Writes data to a client unless it is slow or closing; whether it did."""


class Member(Ticked, Protocol):
    """A subscriber that can stand in a group."""

    def leave_group(self) -> bool:
        """Leave the group at its position; whether it was in one."""

    def wake(self) -> None:
        """Be driven at the next tick."""


def send_to_all(members: dict[Member, Offer], data: bytes) -> int:
    """Offer `data` to all members; those that do not take it leave, those that raise end.

    Returns to how many it was sent. The group's position must still be the one before `data`.
    """
    slow: list[Member] = []
    broken: list[tuple[Member, Exception]] = []
    for member, offer in members.items():
        # Inside the loop: members that were served already must not be served again.
        try:
            if not offer(data):
                slow.append(member)
        except Exception as error:  # noqa: BLE001 - one viewer's bug must not hit others
            broken.append((member, error))
    for member in slow:
        member.leave_group()
        member.wake()
    for member, trouble in broken:
        member.leave_group()
        contain(member, "viewer.crashed", trouble)
    return len(members)

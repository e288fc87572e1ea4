"""Long computations that keep the event loop free: in steps, and only one at a time."""

import asyncio
from time import monotonic
from typing import TypeVar

from hewston_bff.market.cooperative import Steps

_T = TypeVar("_T")
_TURN_S = 0.001


class Turns:
    """Runs computations on the loop, giving way to everything else every millisecond.

    A thread would not do: the interpreter is held by one thread at a time, and the loop would wait
    for it after every write to a socket.
    """

    def __init__(self) -> None:
        self._place = asyncio.Lock()

    async def run(self, steps: Steps[_T]) -> _T:
        """The result of `steps`. A cancellation gives it up between two of them."""
        async with self._place:
            turn_ends_s = monotonic() + _TURN_S
            while True:
                try:
                    next(steps)
                except StopIteration as done:
                    result: _T = done.value
                    return result
                if monotonic() >= turn_ends_s:
                    await asyncio.sleep(0)
                    turn_ends_s = monotonic() + _TURN_S

"""Runs long computations on the event loop without blocking it: in slices, one at a time."""

import asyncio
from time import monotonic
from typing import TypeVar

from hewston_bff.market.cooperative import Cooperative

_T = TypeVar("_T")
_SLICE_S = 0.001


class CooperativeRunner:
    """Runs computations on the event loop, and lets it do other work every millisecond.

    A thread would not do: the interpreter is held by one thread at a time, and the loop would wait
    for it after every write to a socket.
    """

    def __init__(self) -> None:
        self._running = asyncio.Lock()

    async def run(self, computation: Cooperative[_T]) -> _T:
        """The result of `computation`. A cancellation abandons it at its next `yield`."""
        async with self._running:
            slice_ends_s = monotonic() + _SLICE_S
            while True:
                try:
                    next(computation)
                except StopIteration as done:
                    result: _T = done.value
                    return result
                if monotonic() >= slice_ends_s:
                    await asyncio.sleep(0)
                    slice_ends_s = monotonic() + _SLICE_S

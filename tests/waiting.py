"""How tests wait on the real clock: for what happens, as long as it takes on a busy machine."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable

from hewston_bff.hub.ticker import Ticker

PATIENCE_S = 120.0
"""After so many seconds something will not happen any more.

Far longer than it takes on the busiest machine, so that nothing is red because of that, and
shorter than the time a test may take, so that the failing line is the one that waits.
"""
_LOOKS_EVERY_S = 0.01


async def eventually(condition: Callable[[], object | Awaitable[object]], what: str = "") -> None:
    """Wait until `condition`, which may be a coroutine function, holds.

    For what tells of no event. Between two looks others run, and the machine is left alone.

    Raises:
        AssertionError: it did not hold within `PATIENCE_S`.
    """
    loop = asyncio.get_running_loop()
    gives_up_s = loop.time() + PATIENCE_S
    while not await _held(condition):
        assert loop.time() < gives_up_s, f"it never was so: {what or condition}"
        await asyncio.sleep(_LOOKS_EVERY_S)


async def _held(condition: Callable[[], object | Awaitable[object]]) -> object:
    answer = condition()
    return await answer if isawaitable(answer) else answer


async def let_pass(seconds: float, ticker: Ticker) -> None:
    """Let at least so many seconds of the hub's own time pass: ticks, however late they come."""
    over_s = ticker.next_s + seconds
    await eventually(lambda: ticker.next_s >= over_s, f"{seconds} s of ticks")

"""The only place that makes tasks outside a TaskGroup, or ends them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager


@asynccontextmanager
async def running(
    work: Coroutine[None, None, None], *, name: str, crashed: Callable[[BaseException], None]
) -> AsyncIterator[None]:
    """Run `work` beside the block and cancel it at its end; call `crashed` if it ends before."""
    task = asyncio.create_task(work, name=name)

    def look(done: "asyncio.Task[None]") -> None:
        if not done.cancelled():
            error = done.exception()
            crashed(error or RuntimeError(f"{name} ended by itself"))

    task.add_done_callback(look)
    try:
        yield
    finally:
        task.remove_done_callback(look)
        task.cancel()
        await asyncio.wait([task], timeout=5.0)

"""What all tests share."""

import asyncio

from hewston_bff.log import configure_logging

configure_logging(level="WARNING", fmt="console")


def pytest_collection_finish() -> None:
    """Let go of the event loop that pytest-asyncio makes while it collects, and never closes.

    Its ResourceWarning would fail whichever test happens to run when it is collected.
    """
    asyncio.set_event_loop(None)

"""What all tests share."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from hewston_bff.log_setup import configure_logging
from tests.recordings import present_recordings

configure_logging(level="WARNING", fmt="console")

# How long one example takes is the machine's business, not the code's.
settings.register_profile(
    "unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The recordings of a real backend, without which the test makes no sense."""
    return present_recordings()


def pytest_collection_finish() -> None:
    """Let go of the event loop that pytest-asyncio makes while it collects, and never closes.

    Its ResourceWarning would fail whichever test happens to run when it is collected.
    """
    asyncio.set_event_loop(None)

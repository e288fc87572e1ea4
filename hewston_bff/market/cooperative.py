"""Computations in steps, so that the event loop can run in between."""

from collections.abc import Generator
from typing import TypeVar

_T = TypeVar("_T")
Steps = Generator[None, None, _T]
"""Yields after less than a millisecond of work; returns the result."""

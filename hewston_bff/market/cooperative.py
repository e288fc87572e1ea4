"""Computations that pause every now and then, so that an event loop can do other work between."""

from collections.abc import Generator
from typing import TypeVar

_T = TypeVar("_T")
Cooperative = Generator[None, None, _T]
"""Yields after less than a millisecond's work, and returns its result."""

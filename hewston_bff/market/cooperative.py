"""Work in steps, for who has to give way to others in between."""

from collections.abc import Generator
from typing import TypeVar

_T = TypeVar("_T")
Steps = Generator[None, None, _T]
"""Yields after less than a millisecond's work, and returns its result."""

"""Work in steps, done at once."""

from typing import TypeVar

from hewston_bff.market.cooperative import Cooperative

_T = TypeVar("_T")


def done(steps: Cooperative[_T]) -> _T:
    """What the steps come to."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: _T = stop.value
            return result

"""Nominal time: who acts when."""

import asyncio
from dataclasses import dataclass, field
from math import inf

import pytest

from hewston_bff.hub.ticker import PERIOD_S, Ticker
from hewston_bff.tasks import running


@dataclass(eq=False)
class Item:
    """Acts when due; wants to come again `every_s` later."""

    every_s: float = inf
    scheduled: int = -1
    at_s: list[float] = field(default_factory=list)
    is_broken: bool = False
    has_crashed: bool = False

    def tick(self, now_s: float) -> float:
        self.at_s.append(now_s)
        if self.is_broken:
            raise ZeroDivisionError("planted")
        return now_s + self.every_s

    def crashed(self) -> None:
        self.has_crashed = True


def still() -> Ticker:
    """A ticker that only the test advances."""
    return Ticker(after_tick=lambda: None)


def unexpected(error: BaseException) -> None:
    raise error


def ticks_of(item: Item) -> list[int]:
    """The ticks at which it acted."""
    return [round(at_s / PERIOD_S) for at_s in item.at_s]


def test_whoever_is_woken_acts_once_at_the_next_tick() -> None:
    ticker, item = still(), Item()
    ticker.wake(item)
    ticker.wake(item)
    assert item.at_s == []
    for _ in range(5):
        ticker.advance()
    assert ticks_of(item) == [1]


def test_a_time_between_ticks_is_met_at_the_tick_after_it() -> None:
    ticker, item = still(), Item()
    ticker.schedule(item, 2.5 * PERIOD_S)
    for _ in range(5):
        ticker.advance()
    assert ticks_of(item) == [3]


@pytest.mark.parametrize("tick", [1, 7, 1_000_003])
def test_a_time_a_rounding_error_after_a_tick_still_belongs_to_it(tick: int) -> None:
    ticker, item = still(), Item()
    ticker.advance(tick - 1)
    ticker.schedule(item, tick * PERIOD_S * (1 + 1e-15))
    ticker.advance()
    assert ticks_of(item) == [tick]


def test_an_earlier_appointment_replaces_a_later_one_and_not_the_other_way_round() -> None:
    ticker, item = still(), Item()
    ticker.schedule(item, 9 * PERIOD_S)
    ticker.schedule(item, 4 * PERIOD_S)
    ticker.schedule(item, 6 * PERIOD_S)
    for _ in range(12):
        ticker.advance()
    assert ticks_of(item) == [4]


def test_never_is_no_appointment() -> None:
    ticker, item = still(), Item()
    ticker.schedule(item, inf)
    ticker.advance(100)
    assert (item.scheduled, item.at_s) == (-1, [])


def test_a_period_that_is_no_whole_number_of_ticks_does_not_drift() -> None:
    ticker, item = still(), Item(every_s=PERIOD_S)
    ticker.wake(item)
    for _ in range(600):
        ticker.advance()
    assert ticks_of(item) == list(range(1, 601))


def test_periods_that_passed_unseen_are_driven_once_at_the_time_that_it_is() -> None:
    ticker, early, late = still(), Item(every_s=PERIOD_S), Item()
    ticker.wake(early)
    ticker.schedule(late, 5 * PERIOD_S)
    ticker.advance(7)
    assert (ticks_of(early), ticks_of(late)) == ([7], [7])
    ticker.advance()
    assert ticks_of(early) == [7, 8]


def test_an_item_may_wake_itself_and_others_while_it_acts() -> None:
    ticker, other = still(), Item()

    class Waker(Item):
        def tick(self, now_s: float) -> float:
            ticker.wake(self)
            ticker.wake(other)
            return super().tick(now_s)

    waker = Waker()
    ticker.wake(waker)
    for _ in range(4):
        ticker.advance()
    # At ticks 2 and 4 `other` is due anyway, after its waker.
    assert (ticks_of(waker), ticks_of(other)) == ([1, 2, 3, 4], [2, 4])


def test_what_follows_a_tick_happens_after_all_of_it() -> None:
    told: list[int] = []
    item = Item(every_s=PERIOD_S)
    ticker = Ticker(after_tick=lambda: told.append(len(item.at_s)))
    ticker.wake(item)
    for _ in range(3):
        ticker.advance()
    assert told == [1, 2, 3]


@pytest.mark.looptime(start=1_000)
async def test_the_loop_keeps_sixty_ticks_a_second_without_drift() -> None:
    ticker, item = still(), Item(every_s=PERIOD_S)
    ticker.wake(item)
    async with running(ticker.run(), name="ticker", crashed=unexpected):
        await asyncio.sleep(10)
    assert len(item.at_s) in range(599, 602)
    assert item.at_s == [pytest.approx(n * PERIOD_S) for n in range(1, len(item.at_s) + 1)]
    assert ticker.lag_ms()[1] < 1


@pytest.mark.looptime
async def test_a_pause_of_the_loop_is_made_up_for_and_seen() -> None:
    ticker, item = still(), Item(every_s=PERIOD_S)
    ticker.wake(item)
    loop = asyncio.get_running_loop()
    async with running(ticker.run(), name="ticker", crashed=unexpected):
        await asyncio.sleep(1)
        assert ticker.late_s() <= PERIOD_S
    await asyncio.sleep(2)
    assert ticker.late_s() == pytest.approx(2, abs=2 * PERIOD_S)
    assert loop.time() == pytest.approx(3, abs=PERIOD_S)


def test_who_crashes_is_ended_and_everybody_else_acts() -> None:
    ticker, good, bad, later = still(), Item(), Item(is_broken=True), Item()
    for item in (good, bad, later):
        ticker.wake(item)
    ticker.advance()
    assert [item.has_crashed for item in (good, bad, later)] == [False, True, False]
    assert ticks_of(good) == ticks_of(later) == [1]
    ticker.advance(5)
    assert ticks_of(bad) == [1], "it does not come again"

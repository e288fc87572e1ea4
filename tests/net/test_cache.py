"""What is kept in memory, under which keys, and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.credentials import Credentials
from hewston_bff.net.cache import Entry, MemoryCache, TieredCache, cache_key

ANON = Credentials()
SECRET = Credentials(authorization="Bearer sesame", cookie="sid=42")


def entry(value: bytes = b"x", *, kept_until_ms: int = 2_000) -> Entry:
    return Entry(value, stored_ms=0, fresh_until_ms=1_000, kept_until_ms=kept_until_ms)


class Clock:
    """Time as the test tells it, in ms."""

    now = 0

    def __call__(self) -> int:
        return self.now


async def test_what_was_set_comes_back_until_its_time_is_over() -> None:
    clock = Clock()
    cache = MemoryCache(max_bytes=10_000, clock_ms=clock)
    await cache.set("a", entry())
    clock.now = 1_999
    assert await cache.get("a") == entry()
    clock.now = 2_000
    assert await cache.get("a") is None


async def test_an_entry_that_is_over_when_it_comes_replaces_what_was_there_by_nothing() -> None:
    clock = Clock()
    cache = MemoryCache(max_bytes=10_000, clock_ms=clock)
    await cache.set("a", entry())
    await cache.set("a", entry(kept_until_ms=0))
    await cache.set("b", entry(kept_until_ms=0))
    assert await cache.get("a") is None
    assert await cache.get("b") is None
    assert cache.used_bytes == 0


@given(sizes=st.lists(st.integers(0, 6_000), max_size=30))
async def test_it_never_holds_more_bytes_than_it_may(sizes: list[int]) -> None:
    cache = MemoryCache(max_bytes=10_000, clock_ms=Clock())
    for number, size in enumerate(sizes):
        await cache.set(str(number % 7), entry(bytes(size)))
        assert size <= cache.used_bytes <= 10_000


async def test_the_least_recently_used_goes_first() -> None:
    cache = MemoryCache(max_bytes=10_000, clock_ms=Clock())
    for key in "ab":
        await cache.set(key, entry(bytes(4_000)))
    await cache.get("a")
    await cache.set("c", entry(bytes(4_000)))
    assert await cache.get("a")
    assert await cache.get("b") is None


async def test_what_is_larger_than_all_is_not_kept_and_its_elder_neither() -> None:
    cache = MemoryCache(max_bytes=10_000, clock_ms=Clock())
    await cache.set("a", entry())
    await cache.set("a", entry(bytes(10_000)))
    assert await cache.get("a") is None


async def test_a_drop_takes_all_of_a_scope_and_nothing_else() -> None:
    cache = MemoryCache(max_bytes=10_000, clock_ms=Clock())
    gone = [cache_key("run:a:", parts, ANON) for parts in ("all", "few")]
    kept = cache_key("run:ab:", "all", ANON)
    for key in (*gone, kept):
        await cache.set(key, entry())
    await cache.drop("run:a:")
    assert [await cache.get(key) for key in gone] == [None, None]
    assert await cache.get(kept)


async def test_a_near_cache_is_filled_from_the_far_one_and_asked_first() -> None:
    near, far = (MemoryCache(max_bytes=10_000, clock_ms=Clock()) for _ in "nf")
    cache = TieredCache(near, far)
    await far.set("a", entry())
    assert await cache.get("a") == entry()
    await far.delete("a")
    assert await cache.get("a") == entry()
    await cache.delete("a")
    assert await cache.get("a") is None


def test_a_key_hides_the_credentials_and_differs_by_them() -> None:
    keys = {
        cache_key("chart:", {"symbol": "AAPL"}, credentials)
        for credentials in (
            ANON,
            SECRET,
            Credentials(authorization="Bearer sesame"),
            Credentials(cookie="Bearer sesame"),
        )
    }
    assert len(keys) == 4
    assert not any(word in key for key in keys for word in ("sesame", "sid=", "Bearer"))


@pytest.mark.parametrize("other", [("AAPL", "1D", 10), ("AAPL", "1H", "10"), ("AAP", "L1H", 10)])
def test_other_parameters_make_another_key(other: tuple[str, str, int | str]) -> None:
    assert cache_key("chart:", ("AAPL", "1H", 10), ANON) != cache_key("chart:", other, ANON)
    assert cache_key("chart:", ("AAPL", "1H", 10), ANON) == cache_key(
        "chart:", ("AAPL", "1H", 10), ANON
    )

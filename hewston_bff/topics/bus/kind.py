"""The kind `bus`, as `app` registers it with the hub."""

from collections.abc import Callable, Iterable

from hewston_bff.credentials import ApiCaller
from hewston_bff.errors import BffError
from hewston_bff.events.pattern import any_of
from hewston_bff.ports import EventKind
from hewston_bff.protocol.topics import BUS
from hewston_bff.topics.bus.ports import BusServer
from hewston_bff.topics.bus.source import BusOptions, BusSource


def bus_kind(
    server: BusServer,
    options: BusOptions,
    *,
    latest: Iterable[str],
    broad: int,
    refusal: Callable[[ApiCaller], BffError | None],
    now_ms: Callable[[], int],
) -> EventKind:
    """`latest`: patterns of the topics whose events replace each other; `broad`: see `EventKind`.

    Raises:
        InvalidPattern: one of them is none.
    """
    return EventKind(
        name=BUS,
        is_mergeable=any_of(latest),
        default_mode="latest",
        refusal=refusal,
        open=lambda intake: BusSource(intake, server, options, now_ms=now_ms),
        ring_bytes=options.ring_bytes,
        broad=broad,
    )

"""The status that a probe comes to."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.events.event import EntryId
from hewston_bff.topics.system.kind import following, status_event
from hewston_bff.topics.system.statuses import (
    ProbeOutcome,
    ServiceRows,
    checked,
    judged,
    unchecked,
)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (ProbeOutcome(200), "ok"),
        (ProbeOutcome(204), "ok"),
        (ProbeOutcome(200, "UP"), "ok"),
        (ProbeOutcome(200, "healthy"), "ok"),
        (ProbeOutcome(200, "degraded"), "degraded"),
        (ProbeOutcome(200, "WARN"), "degraded"),
        (ProbeOutcome(200, "DOWN"), "down"),
        (ProbeOutcome(200, "unhealthy"), "down"),
        (ProbeOutcome(302), "degraded"),
        (ProbeOutcome(401), "degraded"),
        (ProbeOutcome(404), "degraded"),
        (ProbeOutcome(429), "degraded"),
        (ProbeOutcome(499, "ok"), "degraded"),
        (ProbeOutcome(500), "down"),
        (ProbeOutcome(503, "ok"), "down"),
        (ProbeOutcome(failure="timeout"), "down"),
        (ProbeOutcome(failure="unreadable"), "down"),
        (ProbeOutcome(), "down"),
    ],
)
def test_each_outcome_is_one_status_and_says_why_it_is_not_ok(
    outcome: ProbeOutcome, status: str
) -> None:
    found, detail = judged(outcome)
    assert found == status
    assert (detail is None) == (status == "ok")


@given(
    st.builds(
        ProbeOutcome,
        st.none() | st.integers(100, 999),
        st.none() | st.text(),
        st.sampled_from([None, "timeout", "cut", "certificate", "unreachable", "unknown_host"]),
    )
)
def test_no_word_of_the_service_is_repeated(outcome: ProbeOutcome) -> None:
    status, detail = judged(outcome)
    assert status in {"ok", "degraded", "down"}
    assert detail == judged(outcome._replace(said=status))[1]


def test_since_is_when_the_status_began_and_not_the_last_check() -> None:
    row = unchecked("mcp", 1_000)
    assert row.checked_at is None
    row = checked(row, ProbeOutcome(200, latency_ms=1.5), 2_000)
    assert row.since == row.checked_at == datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)
    row = checked(row, ProbeOutcome(200, latency_ms=2.5), 7_000)
    assert row.since == datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert row.checked_at == datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC)
    row = checked(row, ProbeOutcome(failure="timeout"), 12_000)
    assert row.since == datetime(1970, 1, 1, 0, 0, 12, tzinfo=UTC)
    assert row.latency_ms is None
    row = checked(row, ProbeOutcome(503), 17_000)
    assert row.since == datetime(1970, 1, 1, 0, 0, 12, tzinfo=UTC), "down for another reason"


def test_what_was_never_checked_begins_with_the_first_check() -> None:
    row = checked(unchecked("mcp", 1_000), ProbeOutcome(404), 4_000)
    assert (row.status, row.since) == ("degraded", datetime(1970, 1, 1, 0, 0, 4, tzinfo=UTC))


def test_an_event_has_all_services() -> None:
    row = checked(unchecked("mcp", 0), ProbeOutcome(503), 1_795_229_399_763)
    event = status_event(ServiceRows([row]), EntryId(1_795_229_399_763, 2))
    assert (event.topic, event.type) == ("system:status", "SystemStatus")
    assert event.ts == "2026-11-21T02:49:59.763000Z"
    assert msgspec.json.decode(event.data) == {
        "services": [
            {
                "name": "mcp",
                "status": "down",
                "latency_ms": None,
                "checked_at": "2026-11-21T02:49:59.763000Z",
                "since": "2026-11-21T02:49:59.763000Z",
                "detail": "it answers 503",
            }
        ]
    }


@given(st.lists(st.integers(0, 5), min_size=2))
def test_ids_grow_also_while_the_clock_stands_or_goes_back(clock: list[int]) -> None:
    ids = [EntryId(0, 0)]
    for now_ms in clock:
        ids.append(following(ids[-1], now_ms))
    assert ids == sorted(set(ids))

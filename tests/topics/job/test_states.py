"""A job's states never go back, whatever is written."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.events.event import EntryId
from hewston_bff.topics.job.states import UpdateLedger, UpdateRefusal, is_astray, may_follow
from hewston_bff.topics.job.update import JobStatus, JobUpdate

IDS = ("a" * 32, "b" * 32)
Q, R, C, F, X = JobStatus
ALLOWED = {(Q, Q), (Q, R), (Q, C), (Q, F), (Q, X), (R, R), (R, C), (R, F), (R, X)}
"""The whole table, written out."""

updates = st.builds(
    JobUpdate,
    st.sampled_from(IDS),
    st.sampled_from(JobStatus),
    st.sampled_from([None, 0.0, 0.5, 1.0]),
    st.none(),
    st.none(),
    st.sampled_from(["", "2026-11-25T03:49:59Z", "2026-11-25T03:50:00Z"]),
)


def taken(ledger: UpdateLedger, written: Sequence[JobUpdate]) -> list[UpdateRefusal | None]:
    return [ledger.take(one, EntryId(number, 0)) for number, one in enumerate(written, 1)]


@pytest.mark.parametrize("before", JobStatus)
@pytest.mark.parametrize("after", JobStatus)
def test_a_state_may_follow_another_or_not(before: JobStatus, after: JobStatus) -> None:
    assert may_follow(before, after) == ((before, after) in ALLOWED)


@given(st.lists(updates, max_size=40))
def test_of_random_updates_the_accepted_never_go_back(written: list[JobUpdate]) -> None:
    ledger = UpdateLedger()
    reasons = taken(ledger, written)
    for job_id in IDS:
        own = [
            (one, why) for one, why in zip(written, reasons, strict=True) if one.job_id == job_id
        ]
        states = [one.status for one, why in own if why is None]
        assert all(pair in ALLOWED for pair in pairwise(states))
        assert len([state for state in states if state in {C, F, X}]) <= 1
        last = ledger.last(job_id)
        assert (None if last is None else last.status) == (states[-1] if states else None)
        # Nothing is refused without a reason: it goes back, or was there before.
        state: JobStatus | None = None
        seen: set[JobUpdate] = set()
        for one, why in own:
            if why is UpdateRefusal.BACKWARD:
                assert state is not None
                assert (state, one.status) not in ALLOWED
            elif why is UpdateRefusal.DUPLICATE:
                assert one in seen
            else:
                assert why is None
                state = one.status
                seen.add(one)


def test_an_update_that_is_repeated_is_a_duplicate_even_if_others_came_between() -> None:
    first, second = JobUpdate(IDS[0], R, 0.1), JobUpdate(IDS[0], R, 0.2)
    assert taken(UpdateLedger(), [first, first, second, first]) == [
        *(None, UpdateRefusal.DUPLICATE, None, UpdateRefusal.DUPLICATE)
    ]


def test_a_new_time_alone_is_a_sign_of_life() -> None:
    signs = [JobUpdate(IDS[0], R, 0.1, ts=f"2026-11-25T03:50:0{second}Z") for second in range(9)]
    assert taken(UpdateLedger(), signs) == [None] * 9


def test_progress_may_fall_when_a_job_is_done_again() -> None:
    again = [JobUpdate(IDS[0], R, 0.9), JobUpdate(IDS[0], R, 0.0), JobUpdate(IDS[0], R, 0.1)]
    assert taken(UpdateLedger(), again) == [None] * 3


def test_the_ledger_forgets_the_job_that_was_silent_longest() -> None:
    ledger = UpdateLedger(max_jobs=2)
    third = "c" * 32
    taken(ledger, [JobUpdate(IDS[0], Q), JobUpdate(IDS[1], Q), JobUpdate(IDS[0], R)])
    assert ledger.take(JobUpdate(third, Q), EntryId(9, 0)) is None
    assert [ledger.last(one) is None for one in (IDS[0], IDS[1], third)] == [False, True, False]


OVER = JobUpdate(IDS[0], C, 1.0, b"{}")
HALF = JobUpdate(IDS[0], R, 0.5)
LATER = JobUpdate(IDS[0], R, 0.7)


@pytest.mark.parametrize(
    ("record", "refused", "accepted", "is_wrong"),
    [
        (JobUpdate(IDS[0], R, 0.2), JobUpdate(IDS[0], R, 0.2), OVER, True),
        (JobUpdate(IDS[0], F), JobUpdate(IDS[0], F), OVER, True),
        (OVER, OVER, OVER, False),
        (None, None, HALF, True),
        (JobUpdate(IDS[0], Q), JobUpdate(IDS[0], Q), HALF, True),
        (JobUpdate(IDS[0], R, 0.2), JobUpdate(IDS[0], R, 0.2), HALF, True),
        # Written since, and not read yet.
        (LATER, JobUpdate(IDS[0], R, 0.2), HALF, False),
        (OVER, JobUpdate(IDS[0], Q), HALF, False),
    ],
)
def test_a_record_is_wrong_if_it_says_what_was_refused(
    record: JobUpdate | None, refused: JobUpdate | None, accepted: JobUpdate, *, is_wrong: bool
) -> None:
    assert is_astray(record, refused=refused, accepted=accepted) == is_wrong

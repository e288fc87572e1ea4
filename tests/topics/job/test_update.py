"""Fields of an update and their values, and the event that is made of it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.events.event import EntryId
from hewston_bff.topics.job.update import (
    InvalidUpdate,
    JobStatus,
    JobUpdate,
    job_event,
    parse_progress,
    parse_state,
    parse_update,
    record_fields,
    result_json,
)

ID = "0123456789abcdef0123456789abcdef"
ENTRY = EntryId(1_795_229_399_763, 4)
FIELDS = {
    b"id": ID.encode(),
    b"status": b"running",
    b"progress": b"0.25",
    b"result": b"",
    b"error": b"",
    b"ts": b"2026-11-25T03:49:59.763648351Z",
}


def data(update: JobUpdate) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode(job_event(update, ENTRY).data)
    return told


def test_an_update_is_read_and_told() -> None:
    update = parse_update(FIELDS)
    assert update == JobUpdate(
        ID, JobStatus.RUNNING, 0.25, None, None, "2026-11-25T03:49:59.763648351Z"
    )
    event = job_event(update, ENTRY)
    assert (event.topic, event.id, event.type) == (f"job:{ID}", ENTRY, "JobUpdate")
    assert event.ts == "2026-11-25T03:49:59.763648351Z"
    assert msgspec.json.decode(event.data) == {
        "id": ID,
        "job_id": ID,
        "status": "running",
        "progress": 0.25,
        "result": None,
        "error": None,
        "ts": "2026-11-25T03:49:59.763648351Z",
    }


def test_fields_that_are_not_there_are_the_same_as_empty_ones() -> None:
    short = {name: value for name, value in FIELDS.items() if value}
    assert parse_update(short) == parse_update(FIELDS)


@pytest.mark.parametrize("ts", [b"", b"0", b"yesterday", b"\xff"])
def test_without_a_readable_time_the_event_has_that_of_its_entry(ts: bytes) -> None:
    event = job_event(parse_update(FIELDS | {b"ts": ts}), ENTRY)
    assert event.ts == "2026-11-21T02:49:59.763000Z"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"id": b"x"},
        {b"id": ID.upper().encode()},
        {b"id": ID.encode() + b"\n"},
        {b"status": b""},
        {b"status": b"RUNNING"},
        {b"status": b"\xff"},
    ],
)
def test_what_names_no_job_or_no_state_is_no_update(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(InvalidUpdate):
        parse_update(FIELDS | fields if fields else {})


@pytest.mark.parametrize(
    ("text", "progress"),
    [
        *((b"0", 0.0), (b"1", 1.0), (b"0.5", 0.5), (b"1e-3", 0.001)),
        *((text, None) for text in (b"", None, b"-0.1", b"1.01", b"50", b"nan", b"inf", b"half")),
    ],
)
def test_progress_is_a_number_from_0_to_1(text: bytes | None, progress: float | None) -> None:
    assert parse_progress(text) == progress


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (None, b"null"),
        (b'{ "a": 1.50 }', b'{ "a": 1.50 }'),
        (b"9007199254740992", b"9007199254740992"),
        (b"[9007199254740993,-9007199254740993]", b'["9007199254740993","-9007199254740993"]'),
        (b'{"a":"9007199254740993"}', b'{"a":"9007199254740993"}'),
        (b"[NaN,1]", b"[null,1]"),
        (b'{\r\n  "a": "x\\ny"\n}', b'{  "a": "x\\ny"}'),
        (b"done", b'"done"'),
        (b"{", b'"{"'),
        (b"\xff", '"\ufffd"'.encode()),
        (b"[" * 50_000 + b"]" * 50_000, b'"' + b"[" * 50_000 + b"]" * 50_000 + b'"'),
    ],
)
def test_a_result_is_json_that_a_browser_reads_right(result: bytes | None, told: bytes) -> None:
    assert result_json(result) == told


def test_quotes_in_a_workers_words_do_no_harm() -> None:
    update = JobUpdate(ID, JobStatus.FAILED, error='no "such"\n\u2028file')
    assert data(update)["error"] == 'no "such"\n\u2028file'


@given(
    st.builds(
        JobUpdate,
        st.just(ID),
        st.sampled_from(JobStatus),
        st.none() | st.floats(0, 1),
        st.none() | st.binary(min_size=1),
        st.none() | st.text(min_size=1).filter(lambda text: text.isprintable()),
        st.sampled_from(["", "2026-11-25T03:49:59Z"]),
    )
)
def test_a_record_that_says_an_update_is_read_as_that_update(update: JobUpdate) -> None:
    fields = {
        name.encode(): value if isinstance(value, bytes) else value.encode()
        for name, value in record_fields(update).items()
    }
    assert parse_state(ID, fields) == update

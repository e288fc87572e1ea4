"""What a status of the backend comes to, by what it was asked for."""

import pytest

from hewston_bff.errors import (
    OUTAGES,
    REFUSALS,
    BackendUnavailable,
    BffError,
    Forbidden,
    InvalidRequest,
    NoData,
    RateLimited,
    RunNotFound,
    Subject,
    Unauthorized,
    backend_error,
)

RUN, STREAM, PART, BARS = Subject.RUN, Subject.STREAM, Subject.PART, Subject.BARS


@pytest.mark.parametrize(
    ("status", "subject", "error", "part_of_message"),
    [
        (401, RUN, Unauthorized, "send an Authorization header"),
        (401, BARS, Unauthorized, "send an Authorization header"),
        (401, STREAM, Unauthorized, "the stream of this run"),
        (403, RUN, Forbidden, "does not allow you this run"),
        (403, BARS, Forbidden, "does not allow you these bars"),
        (403, STREAM, Forbidden, "does not allow you the stream of this run"),
        (404, RUN, RunNotFound, "no such run"),
        (404, STREAM, RunNotFound, "no such run"),
        (404, BARS, NoData, "no bars there"),
        (400, BARS, InvalidRequest, "check them"),
        (422, BARS, InvalidRequest, "check them"),
        (400, RUN, BackendUnavailable, "answered 400"),
        (422, RUN, BackendUnavailable, "answered 422"),
        *((429, subject, RateLimited, "try later") for subject in Subject),
        *((500, subject, BackendUnavailable, "answered 500") for subject in Subject),
        (204, PART, BackendUnavailable, "answered 204"),
        (307, RUN, BackendUnavailable, "answered 307"),
    ],
)
def test_each_status_is_one_error(
    status: int, subject: Subject, error: type[BffError], part_of_message: str
) -> None:
    made = backend_error(status, subject)
    assert type(made) is error
    assert part_of_message in made.message
    assert "{" not in made.message
    assert made is not backend_error(status, subject), "an error is raised once"


def test_an_answer_about_a_run_is_a_no_or_none_at_all() -> None:
    for status in range(201, 600):
        error = backend_error(status, RUN)
        assert isinstance(error, REFUSALS) != isinstance(error, OUTAGES)

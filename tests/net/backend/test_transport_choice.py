"""The table of `core/transport.py`, row by row."""

from hewston_bff.net.backend.transport_choice import Transport, TransportChoice
from hewston_bff.protocol.ids import RunId

A, B, C, D = (RunId(name) for name in "abcd")
WS, SSE = Transport.WS, Transport.SSE


def test_events_come_first_and_one_failure_changes_nothing() -> None:
    choice = TransportChoice()
    assert choice.choose(A, now_s=0.0) is SSE
    choice.sse_failed(A, now_s=1.0)
    assert choice.choose(A, now_s=1.0) is SSE


def test_a_run_whose_events_fail_twice_gets_a_websocket_and_no_other_run_does() -> None:
    choice = TransportChoice()
    for _ in range(2):
        choice.sse_failed(A, now_s=0.0)
    assert choice.choose(A, now_s=299.0) is WS
    assert choice.choose(B, now_s=0.0) is SSE
    assert choice.choose(A, now_s=300.0) is SSE
    choice.sse_failed(A, now_s=300.0)
    assert choice.choose(A, now_s=300.0) is SSE


def test_a_websocket_that_fails_too_gives_events_another_chance() -> None:
    choice = TransportChoice()
    for _ in range(2):
        choice.sse_failed(A, now_s=0.0)
    choice.ws_failed(A)
    assert choice.choose(A, now_s=1.0) is SSE


def test_one_run_never_condemns_the_events_of_all() -> None:
    choice = TransportChoice()
    for _ in range(50):
        choice.sse_failed(A, now_s=0.0)
    assert choice.choose(B, now_s=0.0) is SSE


def test_three_runs_without_an_end_in_between_condemn_them_for_a_minute() -> None:
    choice = TransportChoice()
    for run in (A, B, C):
        assert choice.choose(D, now_s=0.0) is SSE
        for _ in range(2):
            choice.sse_failed(run, now_s=0.0)
    assert choice.choose(D, now_s=59.0) is WS
    assert choice.choose(D, now_s=60.0) is SSE


def test_an_end_in_between_speaks_for_the_events() -> None:
    choice = TransportChoice()
    for run in (A, B, C):
        for _ in range(2):
            choice.sse_failed(run, now_s=0.0)
        choice.sse_worked(D)
    assert choice.choose(D, now_s=0.0) is SSE


def test_a_backend_without_events_is_asked_for_them_again_after_ten_minutes() -> None:
    choice = TransportChoice()
    choice.sse_is_absent(now_s=0.0)
    assert choice.choose(A, now_s=599.0) is WS
    assert choice.choose(A, now_s=600.0) is SSE

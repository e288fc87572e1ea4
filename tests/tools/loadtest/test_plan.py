from typing import Any

import msgspec
import pytest

from hewston_bff.tools.loadtest.plan import PLAY, BadPlan, Mode, Plan, StreamEndpoint, address


def _plan(**options: Any) -> Plan:
    return Plan(**{"url": address("http://127.0.0.1:8001"), "runs": ("a", "b", "c"), **options})


def test_clients_take_the_runs_in_turn() -> None:
    plan = _plan(endpoint=StreamEndpoint.RUN)
    assert [plan.target(index).runs for index in range(4)] == [("a",), ("b",), ("c",), ("a",)]
    plan = _plan(subscriptions=2)
    assert [plan.target(index).runs for index in range(2)] == [("a", "b"), ("c", "a")]


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        (StreamEndpoint.STREAM, "/api/v1/stream"),
        (StreamEndpoint.RUN, "/api/v1/runs/a%2Fb/stream?speed=2.0&max_fps=10&mode=all&from=live"),
        (StreamEndpoint.SSE, "/api/v1/runs/a%2Fb/events?speed=2.0&max_fps=10&mode=all&from=live"),
    ],
)
def test_each_endpoint_has_its_path(endpoint: StreamEndpoint, path: str) -> None:
    plan = _plan(
        runs=("a/b",), endpoint=endpoint, speed=2.0, max_fps=10, mode=Mode.ALL, start="live"
    )
    assert plan.target(0).path == path


def test_a_path_before_the_endpoints_is_kept() -> None:
    plan = _plan(url=address("https://example.org/bff/"))
    assert plan.target(0).path == "/bff/api/v1/stream"
    assert (plan.host, plan.port, plan.is_secure) == ("example.org", 443, True)


def test_the_stream_endpoint_opens_with_its_subscriptions() -> None:
    target = _plan(subscriptions=2, max_fps=10, start="70").target(0)
    opening = [msgspec.json.decode(message) for message in target.opening]
    assert opening == [
        {"t": "subscribe", "id": 0, "run_id": "a", "max_fps": 10, "from": 70},
        {"t": "subscribe", "id": 1, "run_id": "b", "max_fps": 10, "from": 70},
    ]


def test_the_backends_endpoint_opens_with_play() -> None:
    assert _plan(endpoint=StreamEndpoint.BACKEND).target(0).opening == (PLAY,)
    faster = _plan(endpoint=StreamEndpoint.BACKEND, speed=120.0).target(0)
    assert faster.path == "/backtests/a/ws"
    assert faster.opening == (b'{"t":"ctrl","cmd":"speed","val":120.0}', PLAY)


def test_clients_arrive_evenly_over_the_ramp() -> None:
    plan = _plan(clients=4, ramp_up_s=2.0, warmup_s=1.0)
    assert [plan.arrival_s(index) for index in range(4)] == [0, 0.5, 1.0, 1.5]
    assert plan.window_begins_s == 3.0


@pytest.mark.parametrize(
    ("options", "fps"),
    [
        ({}, 30),
        ({"max_fps": 10}, 10),
        ({"speed": 0.5}, 15),
        ({"speed": 2, "mode": Mode.ALL}, 60),
        ({"expect_fps": 7, "speed": 0}, 7),
        ({"start": "live"}, 5),
        ({"start": "live", "max_fps": 2}, 2),
    ],
)
def test_the_expected_gap_is_that_of_what_was_asked_for(
    options: dict[str, Any], fps: float
) -> None:
    # The median is that of a run that grows by five frames a second.
    assert _plan(**options).expected_gap_ns(median_ns=0.2e9) == pytest.approx(1e9 / fps)


def test_nothing_is_due_at_full_speed() -> None:
    assert _plan(speed=0, mode=Mode.ALL).expected_gap_ns(median_ns=1000) is None


def test_headers_carry_origin_and_token() -> None:
    headers = _plan(origin="http://a.example", token="secret").headers()
    assert headers["Host"] == "127.0.0.1:8001"
    assert headers["Origin"] == "http://a.example"
    assert headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"runs": ()}, "--runs"),
        ({"endpoint": StreamEndpoint.RUN, "subscriptions": 2}, "--endpoint stream"),
        ({"endpoint": StreamEndpoint.BACKEND, "mode": Mode.ALL}, "--endpoint backend"),
        ({"token": "a\r\nX: y"}, "printable"),
    ],
)
def test_a_plan_that_cannot_be_says_what_to_change(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadPlan, match=problem):
        _plan(**options)


@pytest.mark.parametrize("text", ["", "localhost", "ftp://a", "http://", "http://a:b", "ws://a:1"])
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(BadPlan, match="no address"):
        address(text)

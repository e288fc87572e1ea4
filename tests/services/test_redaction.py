"""Secrets taken out of JSON."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.services.redaction import token_of, without_secret_members, without_secrets

TOKEN = "to/ken=1 2"
texts = st.sampled_from(["", "a", TOKEN, f"x{TOKEN}y", "to%2Fken%3D1%202", "to%2Fken%3D1+2"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(values)
def test_a_secret_is_nowhere_left_in_any_form(value: Any) -> None:
    told = msgspec.json.encode(without_secrets(value, [TOKEN])).decode()
    for form in (TOKEN, "to%2Fken%3D1%202", "to%2Fken%3D1+2"):
        assert form not in told


@given(values)
def test_what_has_no_secret_stays_as_it_is(value: Any) -> None:
    assert without_secrets(value, ["another"]) == value
    assert without_secrets(value, [""]) == value


def test_a_secret_that_is_a_number_is_found_as_one() -> None:
    assert without_secrets({"a": [4711, "4711", 47110]}, ["4711"]) == {
        "a": ["[removed]", "[removed]", 47110]
    }


@pytest.mark.parametrize(
    ("answer", "token"),
    [
        ({"token": "a", "access_token": "b"}, "a"),
        ({"accessToken": "b"}, "b"),
        ({"data": {"access_token": "b"}}, "b"),
        ({"data": [{"user": {"session-token": "c"}}], "session_id": "d"}, "d"),
        ({"data": {"token": "inner"}, "jwt": "outer"}, "outer"),
        ({"token": 4711}, "4711"),
        ({"token": ""}, None),
        ({"token": None}, None),
        ({"token": True}, None),
        ({"token": {"token": "nested"}}, "nested"),
        ({"instrument_token": "5"}, None),
        ([], None),
        ("token", None),
    ],
)
def test_the_token_of_a_login_is_found_wherever_services_put_it(
    answer: Any, token: str | None
) -> None:
    assert token_of(answer) == token


def test_members_that_name_a_secret_are_left_out_of_a_login() -> None:
    answer = {
        "status": "success",
        "data": [{"user": "u", "refresh_token": "r", "X-Api-Key": "k", "Set-Cookie": "c"}],
        "sessionId": 5,
        "passwordHash": "h",
    }
    assert without_secret_members(answer) == {"status": "success", "data": [{"user": "u"}]}

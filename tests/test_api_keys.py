"""What a file of API keys says, and which of its lines makes no sense."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.api_keys import (
    BadApiKeys,
    find_key,
    key_line,
    parse_api_keys,
    parse_scopes,
)
from hewston_bff.credentials import Scope

KEY = "s3cret-of-the-dashboard"
DIGEST = sha256(KEY.encode()).hexdigest()
OTHER = sha256(b"another").hexdigest()

scopes = st.sets(st.sampled_from(list(Scope)), min_size=1)
names = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=100
)


def test_a_file_has_keys_comments_and_blank_lines() -> None:
    text = f"# keys\n\n{DIGEST} bus,jobs the dashboard \r\n  {OTHER.upper()}\tstats prometheus"
    one, other = parse_api_keys(("\ufeff" + text).encode())
    assert one.name == "the dashboard"
    assert one.scopes == {Scope.BUS, Scope.JOBS}
    assert other.name == "prometheus"
    assert other.scopes == {Scope.STATS}
    assert one.digest == bytes.fromhex(DIGEST)
    assert DIGEST not in repr(one)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n\n", "empty"),
        (f"{DIGEST} bus\n", "line 1: must be"),
        (f"# a\n{DIGEST} bus a\n{KEY} bus a\n", "line 3: must begin with the SHA-256"),
        (f"\n{DIGEST[:-1]} bus a", "line 2: must begin with"),
        (f"{DIGEST}0 bus a", "line 1: must begin with"),
        (f"{DIGEST} bus,trade a", "line 1: scopes must be some of bus, jobs, orders, stats"),
        (f"{DIGEST} BUS a", "line 1: scopes"),
        (f"{DIGEST} bus, jobs a", "line 1: scopes"),
        (f"{DIGEST} bus {'n' * 101}", "line 1: the name"),
        (f"{DIGEST} bus a\rb", "line 1: the name"),
        (f"{DIGEST} bus a\n\n{DIGEST.upper()} jobs b", "line 3: the key is in a line above"),
    ],
)
def test_a_bad_line_is_told_by_its_number_and_not_quoted(text: str, reason: str) -> None:
    with pytest.raises(BadApiKeys) as caught:
        parse_api_keys(text.encode())
    assert reason in str(caught.value)
    assert KEY not in str(caught.value)
    assert DIGEST[:-1] not in str(caught.value)


def test_a_line_that_is_not_utf8_is_told_by_its_number() -> None:
    with pytest.raises(BadApiKeys, match="line 2: it is not UTF-8"):
        parse_api_keys(f"{DIGEST} bus a\n{OTHER} bus ".encode() + b"\xff")


def test_a_file_of_comments_gives_nobody_a_key() -> None:
    assert parse_api_keys(b"# nobody\n") == ()


@given(st.lists(st.tuples(st.text(min_size=8), scopes, names), unique_by=lambda line: line[0]))
def test_lines_made_for_keys_find_these_keys_and_no_others(
    made: list[tuple[str, set[Scope], str]],
) -> None:
    lines = [key_line(*line) for line in made]
    keys = parse_api_keys("\n".join(["# all", *lines]).encode())
    for key, wanted, name in made:
        found = find_key(keys, key)
        assert found is not None
        assert found.scopes == wanted
        assert found.name == name
        assert find_key(keys, key[:-1]) is None or key[:-1] in {line[0] for line in made}


@given(st.binary(max_size=300))
def test_any_bytes_are_keys_or_refused(data: bytes) -> None:
    try:
        found = parse_api_keys(data)
    except BadApiKeys:
        return
    assert all(len(key.digest) == 32 and key.scopes and key.name for key in found)


@pytest.mark.parametrize("name", ["", "a\nb", "n" * 101])
def test_no_line_is_made_that_would_be_refused(name: str) -> None:
    with pytest.raises(BadApiKeys):
        key_line(KEY, [Scope.BUS], name)


def test_scopes_are_what_they_are_called() -> None:
    assert parse_scopes("bus,orders") == {Scope.BUS, Scope.ORDERS}
    with pytest.raises(BadApiKeys):
        parse_scopes("")

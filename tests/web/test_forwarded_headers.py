"""What proxies write is read in every form, believed from the trusted, and ignored if it can't be."""

from ipaddress import ip_network

import pytest

from hewston_bff.web.forwarded_headers import Way, checked_host, is_loopback, same_origin, way_of

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"))


def come(peer: str = "10.0.0.1", **headers: str) -> Way:
    """The way with one header of each name."""
    return way_of(peer, {name: [value] for name, value in headers.items()}, TRUSTED)


@pytest.mark.parametrize(
    ("written", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:50123", "203.0.113.7"),
        ('"203.0.113.7:50123"', "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:50123", "2001:db8::7"),
        ('"[2001:DB8:0::7]:_obfuscated"', "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("203.0.113.7, 10.0.0.9:443", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7:1, [2001:db8:1::5]:2, 10.0.0.9", "203.0.113.7"),
        ("203.0.113.7, unknown", "10.0.0.1"),
        ("203.0.113.7, unknown, 10.0.0.9:80", "10.0.0.9"),
        ("203.0.113.7.1", "10.0.0.1"),
        ("[203.0.113.7", "10.0.0.1"),
        ("", "10.0.0.1"),
    ],
)
def test_the_client_is_found_in_every_form(written: str, client: str) -> None:
    assert way_of("10.0.0.1", {"for": [written]}, TRUSTED).client == client


def test_several_headers_are_one_list() -> None:
    lists = {"for": ["6.6.6.6, 203.0.113.7", "10.0.0.2"], "proto": ["gopher, https", "http"]}
    way = way_of("10.0.0.1", lists, TRUSTED)
    assert (way.client, way.scheme) == ("203.0.113.7", "https")


def test_who_is_not_trusted_tells_nothing() -> None:
    headers = {"for": "10.0.0.5", "proto": "https", "host": "app.example", "prefix": "/x"}
    assert come("203.0.113.9", **headers) == Way("203.0.113.9")
    assert come("", **headers) == Way("")


@pytest.mark.parametrize(
    ("passed_by", "proto", "scheme"),
    [
        ("203.0.113.7", "https", "https"),
        ("203.0.113.7", "HTTPS", "https"),
        ("203.0.113.7", '"wss"', "https"),
        ("203.0.113.7", "ws", "http"),
        ("203.0.113.7", "gopher", None),
        ("203.0.113.7", "https:", None),
        # The outer one is trusted too: its member, not what it was told.
        ("203.0.113.7, 10.0.0.2", "https, http", "https"),
        ("6.6.6.6, 203.0.113.7, 10.0.0.2", "gopher, https, http", "https"),
        # One proxy wrote one member; the rest is a client's.
        ("6.6.6.6, 203.0.113.7", "https, http", "http"),
        # An inner proxy wrote the whole anew.
        ("203.0.113.7, 10.0.0.2", "https", "https"),
        # Nobody says how many there were.
        ("", "https, http", "https"),
    ],
)
def test_of_a_list_the_first_trusted_member_counts(
    passed_by: str, proto: str, scheme: str | None
) -> None:
    headers = {"for": [passed_by]} if passed_by else {}
    assert way_of("10.0.0.1", headers | {"proto": [proto]}, TRUSTED).scheme == scheme


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("app.example.com", "app.example.com"),
        ("app.example.com:8443", "app.example.com:8443"),
        ("[2001:db8::1]:8001", "[2001:db8::1]:8001"),
        ('"app.example.com"', "app.example.com"),
        ("app.example.com, inner:8080", "app.example.com"),
        ("app.example.com:0", None),
        ("app.example.com:65536", None),
        ("app.example.com:", None),
        ("user@app.example.com", None),
        ("app.example.com/x", None),
        ("app example.com", None),
        ("[::gg]", None),
        ("[1.2.3.4", None),
        ("", None),
    ],
)
def test_a_host_is_one_or_is_ignored(written: str, host: str | None) -> None:
    assert come(host=written).host == host


@pytest.mark.parametrize(
    ("written", "prefix"),
    [
        ("/hewston", "/hewston"),
        ("/hewston/", "/hewston"),
        ("/a/b-c_1.2~", "/a/b-c_1.2~"),
        ("/a, /b", "/a"),
        ("/", ""),
        ("hewston", ""),
        ("//evil.example", ""),
        ("/a//b", ""),
        ("/a/../b", ""),
        ("/a?b", ""),
        ("/a\\b", ""),
        ("https://evil.example/", ""),
        ("/" + "a" * 300, ""),
    ],
)
def test_a_prefix_is_a_plain_path_or_is_ignored(written: str, prefix: str) -> None:
    assert come(prefix=written).prefix == prefix


def test_an_origin_has_no_default_port_and_no_capitals() -> None:
    assert same_origin("http", "Host.Example:80") == "http://host.example"
    assert same_origin("https", "host.example:443") == "https://host.example"
    assert same_origin("https", "host.example:80") == "https://host.example:80"
    assert same_origin("http", "[::1]:8001") == "http://[::1]:8001"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8001", "a.localhost", "127.0.0.1:1", "127.9.9.9", "[::1]:8001"]
)
def test_names_and_addresses_of_this_machine_alone(host: str) -> None:
    assert is_loopback(host)
    assert checked_host(host) == host


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "localhost.evil.example", "evil.example", "[::2]", ""]
)
def test_other_names_and_addresses_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)

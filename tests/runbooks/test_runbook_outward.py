"""Where checks may connect: nowhere that a cloud tells its machines secrets, by whatever name or detour."""

from __future__ import annotations

import ipaddress
import json

import pytest
from ground.wire import talking
from hypothesis import given
from hypothesis import strategies as st

from handlers.checks import looks
from handlers.desk import Outside
from runbooks import Looks, Outcome
from runbooks.outward import refusal


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "100.100.100.200",
        "168.63.129.16",
    ],
)
def test_metadata_addresses_are_refused_however_they_are_written(one, host):
    bare = host.strip("[]")
    for text in (
        f"kind: http\nurl: 'http://{host}/latest/meta-data/'",
        f"kind: http\nurl: 'https://{host}:8443/'",
        f"kind: tcp\nhost: '{bare}'\nport: 80",
        f"kind: tls\nhost: '{bare}'",
        f"kind: dns\nhost: a.example\nresolver: '{host}'"
        if host.startswith("[")
        else f"kind: dns\nhost: a.example\nresolver: '{bare}'",
    ):
        result = one(text + "\ntimeout: 2")
        assert result.outcome is Outcome.ERROR, text
        assert "where a check must not look" in result.detail, (text, result.detail)
        assert "runbooks.allow_addresses" in result.detail


def test_a_redirect_to_a_metadata_address_is_refused(one):
    def say(peer, _stop):
        peer.recv(4096)
        peer.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/iam/\r\nContent-Length: 0\r\n\r\n"
        )

    with talking(say) as port:
        result = one(f"kind: http\nurl: http://127.0.0.1:{port}/")
    assert result.outcome is Outcome.ERROR
    assert "169.254.169.254 is within 169.254.0.0/16" in result.detail


def test_an_allowed_address_is_looked_at(one):
    text = "kind: tcp\nhost: 169.254.169.254\nport: 9\ntimeout: 0.3"
    assert one(text, looks(Outside(), [ipaddress.ip_network("169.254.169.0/24")])).outcome is not Outcome.ERROR
    assert one(text, looks(Outside(), [ipaddress.ip_network("169.254.1.1")])).outcome is Outcome.ERROR


def test_loopback_and_private_networks_are_open():
    for address in ("127.0.0.1", "10.1.2.3", "192.168.0.7", "172.16.9.9", "::1", "fd12:3456::1", "8.8.8.8"):
        assert refusal("host.example", address, ()) == ""


def test_a_metadata_name_is_refused_whatever_it_resolves_to():
    assert "is a name of" in refusal("Metadata.Google.Internal.", "10.0.0.1", ())
    assert refusal("metadata.google.internal", "10.0.0.1", [ipaddress.ip_network("10.0.0.1")]) == ""


def test_a_name_is_told_with_its_address():
    assert refusal("evil.example", "169.254.169.254", ()).startswith("evil.example (169.254.169.254) is within")


@given(st.integers(0, 2**16 - 1))
def test_every_link_local_address_is_refused_in_every_form(low):
    v4 = ipaddress.IPv4Address((169 << 24) + (254 << 16) + low)
    number = int(v4)
    forms = [
        str(v4),
        f"::ffff:{v4}",
        str(ipaddress.IPv6Address((0x64FF9B << 96) + number)),
        str(ipaddress.IPv6Address((0x2002 << 112) + (number << 80) + 1)),
    ]
    assert all(refusal("x", form, ()) for form in forms)
    assert not any(refusal("x", form, [ipaddress.ip_network("169.254.0.0/16")]) for form in forms)


def test_the_host_header_and_name_stay_what_was_asked(one):
    heard = []

    def say(peer, _stop):
        heard.append(peer.recv(4096))
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with talking(say) as port:
        assert one(f"kind: http\nurl: http://localhost:{port}/").outcome is Outcome.PASS
    assert f"Host: localhost:{port}".encode() in heard[0]


def test_behind_a_proxy_the_target_is_judged_too(one, monkeypatch):
    heard = []

    def say(peer, _stop):
        heard.append(peer.recv(4096).split(b"\r\n")[0])
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with talking(say) as port:
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        refused = one("kind: http\nurl: http://169.254.169.254/")
        metadata = one("kind: http\nurl: http://Metadata.google.internal./computeMetadata/v1/")
        assert (metadata.outcome, "must not look" in metadata.detail) == (Outcome.ERROR, True)
        through = one("kind: http\nurl: http://only-the-proxy-knows.invalid/")
    assert (refused.outcome, through.outcome) == (Outcome.ERROR, Outcome.PASS)
    assert heard == [b"GET http://only-the-proxy-knows.invalid/ HTTP/1.1"]


@pytest.mark.parametrize(
    ("wanted", "outcome", "said"),
    [
        ({"n": {">=": 3}}, "PASS", ""),
        ({"n": {">": 3}}, "FAIL", "n is 3"),
        ({"n": {">": 1, "<": 5}}, "PASS", ""),
        ({"n": {"!=": 4}}, "PASS", ""),
        ({"v": {"matches": "^v1[.]"}}, "PASS", ""),
        ({"v": {"matches": "^v2"}}, "FAIL", 'v is "v1.2"'),
        ({"v": {">": 1}}, "FAIL", 'v is "v1.2"'),
        ({"yes": 1}, "FAIL", "yes is true"),
        ({"n": True}, "FAIL", "n is 3"),
        ({"yes": {">=": 1}}, "FAIL", "yes is true"),
        ({"none": {"exists": False}}, "PASS", ""),
        ({"n": {"exists": False}}, "FAIL", "the answer has n"),
        ({"n": {"exists": True}}, "PASS", ""),
        ({"none": {"exists": True}}, "NO_DATA", "has no none"),
        ({"o": {"a": 1}}, "PASS", ""),
        ({"o": {"a": 2}}, "FAIL", 'o is {"a": 1}'),
    ],
)
def test_comparisons_in_json(one, wanted, outcome, said):
    def say(peer, _stop):
        peer.recv(4096)
        body = json.dumps({"n": 3, "v": "v1.2", "yes": True, "o": {"a": 1}}).encode()
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with talking(say) as port:
        result = one(f"kind: http\nurl: http://127.0.0.1:{port}/\njson: {json.dumps(wanted)}", Looks())
    assert result.outcome == Outcome(outcome), result.detail
    assert said in result.detail

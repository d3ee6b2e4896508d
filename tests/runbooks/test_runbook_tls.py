"""The tls kind, and https, against servers with certificates that are right and wrong in every way."""

from __future__ import annotations

import ssl
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from ground.wire import drip, secure, talking

from runbooks import Outcome


@pytest.fixture(scope="module")
def authority():
    return trustme.CA(organization_name="Example Authority")


@pytest.fixture
def ca(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def server(authority):
    """``server(names…, days=…)`` gives the port of an HTTPS server with such a certificate."""
    open_servers = []

    def start(*names, days=30.0, issuer=None, answer=None, newest=None, alone=False):
        now = datetime.now(UTC)
        issued = (issuer or authority).issue_cert(
            *names, not_before=now - timedelta(days=60), not_after=now + timedelta(days=days)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(context)
        if newest:
            context.maximum_version = newest
        manager = secure(context, answer)
        open_servers.append(manager)
        return manager.__enter__()

    yield start
    for one in open_servers:
        one.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("more", "outcome", "said"),
    [
        ("", "PASS", "for localhost, docs.example, 127.0.0.1, from organizationName=Example Authority"),
        ("certificate_days: 20", "PASS", "expires in"),
        ("certificate_days: 40", "FAIL", "expires in"),
        ("server_name: docs.example", "PASS", "docs.example"),
        ("server_name: other.example", "FAIL", "Hostname mismatch"),
        ("names: [docs.example, LOCALHOST]", "PASS", ""),
        ("names: other.example", "FAIL", "is not for other.example; it is for localhost, docs.example"),
        ("issuer: Example Auth", "PASS", ""),
        ("issuer: Let's Encrypt", "FAIL", "is from organizationName=Example Authority"),
        ("min_version: '1.3'", "PASS", "TLS 1.3"),
    ],
)
def test_tls(one, server, ca, more, outcome, said):
    port = server("localhost", "docs.example", "127.0.0.1")
    result = one(f"kind: tls\nhost: 127.0.0.1\nport: {port}\nca: {ca}\n{more}")
    assert result.outcome == Outcome(outcome), result.detail
    assert said in result.detail


def test_tls_tells_the_days_that_are_left(one, server, ca):
    result = one(f"kind: tls\nhost: localhost\nport: {server('localhost', days=12)}\nca: {ca}\ncertificate_days: 14")
    assert result.outcome is Outcome.FAIL
    assert (result.unit, result.threshold) == ("days", ">= 14")
    assert 11.9 < float(result.value) <= 12


@pytest.mark.parametrize("kind", ["tls", "http"])
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"names": ["localhost"], "days": -1}, "certificate has expired"),
        ({"names": ["elsewhere.example"]}, "Hostname mismatch"),
        ({"names": ["localhost"], "stranger": True}, "unable to get local issuer certificate"),
    ],
)
def test_a_certificate_that_is_not_to_be_trusted_fails(one, server, ca, kind, how, said):
    issuer = trustme.CA(organization_name="A Stranger") if how.get("stranger") else None
    port = server(*how["names"], days=how.get("days", 30), issuer=issuer)
    where = f"host: localhost\nport: {port}" if kind == "tls" else f"url: https://localhost:{port}/"
    result = one(f"kind: {kind}\n{where}\nca: {ca}")
    assert result.outcome is Outcome.FAIL
    assert said in result.detail


@pytest.mark.parametrize("kind", ["tls", "http"])
def test_an_authority_nobody_knows_fails(one, server, kind):
    port = server("localhost")
    where = f"host: localhost\nport: {port}" if kind == "tls" else f"url: https://localhost:{port}/"
    result = one(f"kind: {kind}\n{where}")
    assert result.outcome is Outcome.FAIL
    assert "not accepted" in result.detail


def test_an_old_protocol_fails(one, server, ca):
    port = server("localhost", newest=ssl.TLSVersion.TLSv1_2)
    assert one(f"kind: tls\nhost: localhost\nport: {port}\nca: {ca}").outcome is Outcome.PASS
    result = one(f"kind: tls\nhost: localhost\nport: {port}\nca: {ca}\nmin_version: '1.3'")
    assert (result.outcome, result.value, result.threshold) == (Outcome.FAIL, "1.2", ">= 1.3")


def test_a_file_of_authorities_that_is_none_is_an_error(one, server, tmp_path):
    port = server("localhost")
    (tmp_path / "empty.pem").write_text("nothing")
    for ca in (tmp_path / "empty.pem", tmp_path / "none.pem"):
        for where in (f"kind: tls\nhost: localhost\nport: {port}", f"kind: http\nurl: https://localhost:{port}/"):
            result = one(f"{where}\nca: {ca}")
            assert result.outcome is Outcome.ERROR
            assert f"the authorities in {ca} cannot be read" in result.detail


def reset(peer, _stop):
    import socket
    import struct

    peer.recv(100)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("say", "said"),
    [
        (lambda peer, _: peer.sendall(b"220 smtp.example ESMTP\r\n"), "does not finish a TLS handshake"),
        (lambda peer, _: peer.recv(100), "does not finish a TLS handshake"),
        (reset, "does not finish a TLS handshake: Connection reset by peer"),
        (lambda peer, stop: stop.wait(5), "did not finish a handshake within 0.4 s"),
        (
            drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03" + b"\0" * 16000),
            "did not finish a handshake within 0.4 s",
        ),
    ],
    ids=["other protocol", "closed", "reset", "silent", "dripping"],
)
def test_tls_with_who_speaks_none(one, say, said):
    began = time.monotonic()
    with talking(say) as port:
        result = one(f"kind: tls\nhost: 127.0.0.1\nport: {port}\ntimeout: 0.4")
        took = time.monotonic() - began
    assert result.outcome is Outcome.FAIL
    assert said in result.detail
    assert took < 1.5


def test_tls_of_nobody(one):
    assert "Connection refused" in one("kind: tls\nhost: 127.0.0.1\nport: 9").detail
    result = one("kind: tls\nhost: no-such-host.invalid")
    assert (result.outcome, "does not resolve" in result.detail) == (Outcome.ERROR, True)


def test_https_tells_when_the_certificate_expires_soon(one, server, ca):
    port = server("localhost", days=10)
    fine = one(f"kind: http\nurl: https://localhost:{port}/\nca: {ca}\ncertificate_days: 7")
    assert (fine.outcome, fine.value) == (Outcome.PASS, "200")
    soon = one(f"kind: http\nurl: https://localhost:{port}/\nca: {ca}\ncertificate_days: 14")
    assert (soon.outcome, soon.unit, soon.threshold) == (Outcome.FAIL, "days", ">= 14")
    assert "its certificate expires in" in soon.detail


def test_secrets_do_not_follow_a_redirect_from_https_to_http(one, server, ca):
    heard = []

    def plain(peer, _stop):
        heard.append(peer.recv(4096))
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with talking(plain) as target:

        def answer(request):
            request.send_response(302)
            request.send_header("location", f"http://localhost:{target}/")
            request.send_header("content-length", "0")
            request.end_headers()

        port = server("localhost", answer=answer)
        result = one(
            f"kind: http\nurl: https://localhost:{port}/\nca: {ca}\nsend_headers: {{X-Key: 'env:TOKEN'}}",
            environ={"TOKEN": "s3cret-value"},
        )
    assert result.outcome is Outcome.PASS
    assert b"GET / HTTP/1.1" in heard[0]
    assert b"s3cret-value" not in heard[0]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Header: " + b"a" * 200, "no answer within 0.4 s"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 200, "no answer within 0.4 s"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 100, "no answer within 0.4 s"),
    ],
    ids=["head", "body", "chunks"],
)
def test_http_that_drips_ends_in_time_and_leaves_no_thread(one, what, said):
    before = threading.active_count()
    began = time.monotonic()
    with talking(drip(what, every=0.005)) as port:
        result = one(f"kind: http\nurl: http://127.0.0.1:{port}/\ntimeout: 0.4")
        took = time.monotonic() - began
    assert result.outcome is Outcome.FAIL
    assert said in result.detail
    assert took < 1.4
    assert threading.active_count() == before


def test_http_that_is_garbage_fails(one):
    for said in (
        b"\x00\xff\x16\x03 garbage",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 7\r\n\r\nno gzip",
    ):

        def say(peer, _stop, said=said):
            peer.recv(4096)
            peer.sendall(said)

        with talking(say) as port:
            result = one(f"kind: http\nurl: http://127.0.0.1:{port}/")
        assert result.outcome is Outcome.FAIL, result.detail
        assert "answer" in result.detail


@pytest.mark.parametrize(
    ("body", "more", "said"),
    [
        (b"ab\x00c\x1b[31m", "body: zzz", "does not match: ab�c�[31m"),
        (b'{"a": "\\ud800\\u0000"}', "json: {a: b}", "a is"),
    ],
)
def test_what_a_server_babbles_is_fit_to_be_written_down(one, body, more, said):
    def say(peer, _stop):
        peer.recv(4096)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with talking(say) as port:
        result = one(f"kind: http\nurl: http://127.0.0.1:{port}/\n{more}")
    assert result.outcome is Outcome.FAIL
    assert said in result.detail
    assert not set(result.detail + result.value) & set("\0\x1b")
    (result.detail + result.value).encode()


def test_json_without_end_is_no_json(one):
    def say(peer, _stop):
        peer.recv(4096)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000)

    with talking(say) as port:
        result = one(f"kind: http\nurl: http://127.0.0.1:{port}/\njson: {{a: 1}}")
    assert result.outcome is Outcome.FAIL
    assert "not JSON" in result.detail


def test_a_cancelled_look_ends_at_once(one):
    from ground.waiting import until

    cancelled, reached = threading.Event(), threading.Event()

    def say(_peer, stop):
        reached.set()
        stop.wait(5)

    with talking(say) as port:
        results = []
        text = f"kind: http\nurl: http://127.0.0.1:{port}/\ntimeout: 30"
        thread = threading.Thread(target=lambda: results.append(one(text, cancelled=cancelled)))
        thread.start()
        assert reached.wait(5)
        cancelled.set()
        until(lambda: results, timeout=14)
        thread.join()
    assert results[0].outcome is Outcome.ERROR
    assert "cancelled" in results[0].detail

"""The dns kind against a resolver that tells, errs, hangs and babbles."""

from __future__ import annotations

import pytest
from ground.wire import Zone

from runbooks import Outcome

ROWS = {
    ("docs.example", "A"): ["10.0.0.1", "10.0.0.2"],
    ("docs.example", "AAAA"): ["fd12::1"],
    ("www.docs.example", "CNAME"): ["docs.example."],
    ("docs.example", "TXT"): ['"v=spf1 " "-all"', '"Owner=Docs"'],
    ("_grpc._tcp.docs.example", "SRV"): ["10 5 443 docs.example."],
    ("docs.example", "MX"): ["10 mail.docs.example."],
}


@pytest.fixture
def zone():
    made = Zone(ROWS)
    with made.serve() as port:
        made.port = port
        yield made


@pytest.mark.parametrize(
    ("text", "outcome", "said"),
    [
        ("host: docs.example", "PASS", "docs.example has A 10.0.0.1, 10.0.0.2"),
        ("host: Docs.Example.", "PASS", "10.0.0.1, 10.0.0.2"),
        ("host: docs.example\nat_least: 2", "PASS", ""),
        ("host: docs.example\nat_least: 3", "FAIL", "10.0.0.1, 10.0.0.2"),
        ("host: docs.example\nvalues: 10.0.0.2", "PASS", ""),
        ("host: docs.example\nvalues: [10.0.0.2, 10.0.0.9]", "FAIL", ": not 10.0.0.9"),
        ("host: docs.example\nvalues: [10.0.0.2]\nexactly: true", "FAIL", ": 10.0.0.1 besides"),
        ("host: docs.example\nvalues: [10.0.0.2, 10.0.0.1]\nexactly: true", "PASS", ""),
        ("host: docs.example\ntype: AAAA\nvalues: FD12::1", "PASS", "fd12::1"),
        ("host: www.docs.example\nvalues: 10.0.0.1", "PASS", ""),
        ("host: www.docs.example\ntype: CNAME\nvalues: DOCS.example", "PASS", "docs.example"),
        ("host: docs.example\ntype: TXT\nvalues: v=spf1 -all", "PASS", "v=spf1 -all"),
        ("host: docs.example\ntype: TXT\nvalues: owner=docs", "FAIL", "not owner=docs"),
        ("host: _grpc._tcp.docs.example\ntype: SRV\nvalues: 10 5 443 docs.example.", "PASS", "10 5 443 docs.example"),
        ("host: docs.example\ntype: MX", "PASS", "10 mail.docs.example"),
        ("host: docs.example\ntype: SRV", "FAIL", "has no SRV record"),
        ("host: nobody.example", "FAIL", "nobody.example does not exist"),
        ("host: nobody.example\nabsent: true", "PASS", "does not exist"),
        ("host: docs.example\nabsent: true", "FAIL", "docs.example has A 10.0.0.1"),
    ],
)
def test_dns(one, zone, text, outcome, said):
    result = one(f"kind: dns\nresolver: 127.0.0.1:{zone.port}\n{text}")
    assert result.outcome == Outcome(outcome), result.detail
    assert said in result.detail


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("silent", "did not answer within 0.5 s"),
        ("servfail", "cannot tell: SERVFAIL"),
        ("refused", "cannot tell: REFUSED"),
        ("garbage", "the resolver 127.0.0.1"),
    ],
)
def test_a_resolver_that_cannot_tell_is_an_error(one, zone, mode, said):
    zone.mode = mode
    for absent in ("", "\nabsent: true"):
        result = one(f"kind: dns\nresolver: 127.0.0.1:{zone.port}\nhost: docs.example\ntimeout: 0.5{absent}")
        assert result.outcome is Outcome.ERROR
        assert said in result.detail, result.detail


def test_a_lost_question_is_asked_again_and_a_long_answer_over_tcp(one, zone):
    zone.mode = "truncated"
    result = one(f"kind: dns\nresolver: localhost:{zone.port}\nhost: docs.example\ntype: TXT\nat_least: 2")
    assert (result.outcome, result.samples) == (Outcome.PASS, 2)
    assert {over for _, _, over in zone.asked} == {"udp", "tcp"}


def test_a_resolver_that_is_not_there(one):
    for place in ("127.0.0.1:9", "no-such-host.invalid"):
        result = one(f"kind: dns\nresolver: {place}\nhost: docs.example\ntimeout: 0.6")
        assert result.outcome is Outcome.ERROR, result.detail

"""Alertmanager bodies: each alert on its own, and a sentence for each that cannot be taken."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.alerts import payload
from handlers.alerts.payload import BadPayload
from handlers.catalogue import Policy, Service

SERVICES = {"docs-api": Service(channel="#docs-api")}
POLICY = Policy()


def alert(**changes):
    labels = {"alertname": "Burn", "service": "docs-api", "severity": "page"} | changes.pop("labels", {})
    one = {"status": "firing", "labels": {k: v for k, v in labels.items() if v is not None}, "annotations": {}}
    one |= {"startsAt": "2026-11-23T07:59:52.431Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "2ced3b083f120737"}
    return {k: v for k, v in (one | changes).items() if v is not None}


def read(*alerts, **changes):
    body = {"version": "4", "groupKey": "{}", "alerts": list(alerts)} | changes
    return payload.read(json.dumps(body).encode(), SERVICES, POLICY)


def refused(*alerts, **changes) -> BadPayload:
    with pytest.raises(BadPayload) as caught:
        read(*alerts, **changes)
    return caught.value


def test_real_bodies_are_read(alertmanager_body):
    single = alertmanager_body("firing-single")
    body = payload.read(json.dumps(single).encode(), SERVICES, POLICY)
    assert body.alerts[0].fingerprint == "2ced3b083f120737"
    assert body.alerts[0].ends_at is None
    sixty = payload.read(json.dumps(alertmanager_body("group-of-60")).encode(), {"big": SERVICES["docs-api"]}, POLICY)
    assert len({a.identity for a in sixty.alerts}) == 60


def test_the_status_of_each_alert_counts_not_the_bodys():
    body = read(alert(status="resolved", endsAt="2026-11-23T08:00:00Z"), status="firing")
    assert body.alerts[0].firing is False


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "pending"}, "status must be 'firing' or 'resolved'"),
        ({"labels": {"alertname": None}}, "the label 'alertname' is missing"),
        ({"labels": {"service": None}}, "the label 'service' is missing, so nobody knows whom to page"),
        ({"labels": {"service": "docs-ap"}}, "the service 'docs-ap' is not in captain.yml. Did you mean 'docs-api'?"),
        ({"fingerprint": None}, "'fingerprint' is missing"),
        ({"fingerprint": "xyz"}, "not hexadecimal"),
        ({"startsAt": None}, "'startsAt' is missing"),
        ({"startsAt": "yesterday"}, "not an RFC 3339 time"),
        ({"startsAt": "2026-11-23T07:59:52"}, "has no time zone"),
        ({"startsAt": 7}, "must be an RFC 3339 time"),
        ({"labels": {"x": 5}}, "labels.x must be a string, not int"),
        ({"annotations": ["a"]}, "'annotations' must be an object"),
    ],
)
def test_an_alert_that_cannot_be_taken_is_named(changes, said):
    assert said in str(refused(alert(**changes)))


def test_one_bad_alert_does_not_lose_the_others():
    body = read(alert(), alert(labels={"service": None}))
    assert len(body.alerts) == 1
    assert body.refused[0].why.startswith("alerts[1]: the label 'service' is missing")


def test_alerts_that_alertmanager_left_out_are_counted():
    assert read(alert(), truncatedAlerts=7).left_out == 7
    for odd in (0, -3, "7", None, 1.5):
        assert read(alert(), truncatedAlerts=odd).left_out == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b"null", 400), (b"\xff\xfe", 400), (b'{"version": "3", "alerts": [1]}', 422),
     (b'{"version": "4"}', 422), (b'{"version": "4", "alerts": []}', 422), (b'{"version": "4", "alerts": [null]}', 422),
     (b"[" * 100_000, 400)],
)  # fmt: skip
def test_a_body_of_another_kind_is_refused(body, status):
    with pytest.raises(BadPayload) as caught:
        payload.read(body, SERVICES, POLICY)
    assert caught.value.status == status


def test_an_unknown_service_goes_to_the_fallback():
    policy = Policy(fallback_service="docs-api")
    body = json.dumps({"version": "4", "alerts": [alert(labels={"service": None})]}).encode()
    assert payload.read(body, SERVICES, policy).alerts[0].service == "docs-api"


def test_long_values_are_cut_and_the_alert_is_kept():
    body = read(alert(annotations={"summary": "x" * 100_000, "nul": "a\0b"}))
    assert len(body.alerts[0].annotations["summary"]) == payload.MAX_VALUE
    assert "\0" not in body.alerts[0].annotations["nul"]


def test_two_spellings_of_one_instant_are_one_identity():
    a = read(alert(startsAt="2026-11-23T07:59:52.431Z")).alerts[0]
    b = read(alert(startsAt="2026-11-23T08:59:52.431000000+01:00", fingerprint="2CED3B083F120737")).alerts[0]
    assert a.identity == b.identity


scraps = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8))
json_values = st.one_of(scraps, st.lists(scraps, max_size=2), st.dictionaries(st.text(max_size=4), scraps, max_size=2))
FIELDS = st.sampled_from(["status", "labels", "annotations", "startsAt", "endsAt", "fingerprint"])


@given(st.dictionaries(FIELDS, json_values, max_size=6))
def test_any_alert_is_taken_or_refused_with_a_sentence(changes):
    try:
        body = read(alert() | changes)
    except BadPayload as e:
        assert e.status == 422
        assert str(e).startswith("alerts[0]: ")
    else:
        assert len(body.alerts) == 1


def test_half_a_surrogate_pair_is_replaced_not_stored():
    body = read(alert(annotations={"summary": "a\ud800b"}, labels={"x\udfff": "y"}))
    "".join([*body.alerts[0].annotations.values(), *body.alerts[0].labels]).encode()


def test_one_alert_alone_is_read_by_the_same_rules():
    assert payload.one(alert(), SERVICES, POLICY) == dataclasses.replace(read(alert()).alerts[0], group_key="")
    with pytest.raises(ValueError, match="not in captain.yml"):
        payload.one(alert(labels={"service": "docs-apo"}), SERVICES, POLICY)


def test_a_time_is_read_in_microseconds():
    assert payload.microseconds("1970-01-01T00:00:01.5Z") == 1_500_000
    assert payload.microseconds("0001-01-01T00:00:00Z") == 0
    with pytest.raises(ValueError, match="RFC 3339"):
        payload.microseconds("yesterday")

"""Grafana's bodies and the form of our own: what is read of them, and which fire they are about."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.alerts import generic, grafana, occurrences
from handlers.alerts.occurrences import LULL, Fire
from handlers.alerts.payload import Alert, BadPayload, Source
from handlers.catalogue import Policy, Service

SERVICES = {"docs-api": Service(channel="#docs-api"), "gateway": Service(channel="#gateway")}
SECRET = "of-the-contact-point"


@pytest.fixture
def body(grafana_body):
    """A body of Grafana's with the changes of one alert."""

    def make(name="firing", **changes):
        made = grafana_body(name)
        made["alerts"] = [made["alerts"][0] | changes]
        return json.dumps(made).encode()

    return make


def one(body: bytes) -> Alert:
    (alert,) = grafana.read(body, SERVICES, Policy()).alerts
    return alert


# ---- Grafana ----------------------------------------------------------------------------------------------------------


def test_an_alert_of_grafana_has_its_links_and_values(body):
    alert = one(body())
    assert (alert.source, alert.service, alert.firing) == (Source.GRAFANA, "docs-api", True)
    assert alert.annotations["dashboard"] == "https://grafana.example.com/d/abc?orgId=1"
    assert alert.annotations["description"] == "A = 0.0312, C = 1"
    assert alert.annotations["silence_url"].startswith("https://grafana.example.com/alerting/silence/new")
    assert alert.annotations["summary"] == "docs-api burns its budget"
    assert one(body(dashboardURL="", panelURL="")).annotations["dashboard"].endswith("/alerting/grafana/1afz/view")
    assert one(body(annotations={"dashboard": "mine", "description": "said"})).annotations["dashboard"] == "mine"


def test_no_data_and_errors_are_never_read_as_a_burn(body):
    nothing, broken = one(body("no-data")), one(body("error"))
    assert nothing.annotations["summary"] == "No data for ErrorRate: whether it burns, nobody knows"
    assert nothing.annotations["description"] == "The rule says: docs-api burns its budget"
    assert broken.annotations["summary"].startswith("ErrorRate cannot be evaluated: whether it burns, nobody knows (")
    wanted = one(body(annotations={"summary": "it burns", "grafana_state_reason": "NoData"}))
    assert wanted.annotations["summary"] == "it burns (no data, so it fires as its rule wants)"


@pytest.mark.parametrize(
    ("given", "said"),
    [(b"{", "not JSON"), (b"[]", "custom payload"), (b'{"version": "4"}', "/webhooks/alertmanager"),
     (b'{"version": "1", "alerts": []}', "no alerts"), (b'{"version": "1", "alerts": [7]}', "must be an object")],
)  # fmt: skip
def test_a_body_that_is_not_grafanas_is_refused_with_what_to_do(given, said):
    with pytest.raises(BadPayload, match=said):
        grafana.read(given, SERVICES, Policy())


def signature(body: bytes, stamp: str = "") -> str:
    return hmac.new(SECRET.encode(), (f"{stamp}:".encode() if stamp else b"") + body, hashlib.sha256).hexdigest()


def basic(text: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize(
    ("headers", "right"),
    [
        ({"authorization": f"Bearer {SECRET}"}, True),
        ({"authorization": f"bearer {SECRET}"}, True),
        (basic(f"captain:{SECRET}"), True),
        (basic(f":{SECRET}"), True),
        ({"x-grafana-alerting-signature": signature(b"{}")}, True),
        ({"x-grafana-alert-signature": signature(b"{}")}, True),
        ({"x-grafana-alerting-signature": signature(b"{}", "17"), "x-grafana-alerting-timestamp": "17"}, True),
        ({"x-grafana-alerting-signature": signature(b"{}", "17"), "x-grafana-alerting-timestamp": "18"}, False),
        ({"x-grafana-alerting-signature": signature(b"{} ")}, False),
        ({"x-grafana-alerting-signature": "", "authorization": f"Bearer {SECRET}"}, False),
        ({"x-grafana-alerting-signature": "\xe9"}, False),
        ({}, False),
        ({"authorization": "Bearer"}, False),
        ({"authorization": f"Token {SECRET}"}, False),
        ({"authorization": "Basic %%%"}, False),
        (basic(SECRET), False),
        (basic(f"{SECRET}:wrong"), False),
    ],
)
def test_grafana_shows_the_secret_in_one_of_its_three_ways(headers, right):
    assert grafana.allowed(b"{}", headers, SECRET) is right
    assert not grafana.allowed(b"{}", headers, "")


# ---- our own form -----------------------------------------------------------------------------------------------------

FULL = {
    "key": "disk-full", "status": "firing", "service": "docs-api", "environment": "stage", "severity": "page",
    "title": "The disk is full", "description": "d", "runbook_url": "r", "dashboard": "b", "labels": {"host": "a"},
    "starts_at": "2026-11-23T08:00:00Z", "ends_at": "2026-11-23T09:00:00Z",
}  # fmt: skip


def ours(given) -> generic.Body:
    return generic.read(json.dumps(given).encode(), SERVICES, Policy())


def test_all_that_the_form_has_is_read():
    (alert,) = ours({"alerts": [FULL]}).alerts
    assert alert.labels == {
        "alertname": "disk-full", "host": "a", "service": "docs-api", "env": "stage", "severity": "page",
    }  # fmt: skip
    assert alert.annotations == {
        "summary": "The disk is full", "description": "d", "runbook_url": "r", "dashboard": "b",
    }  # fmt: skip
    assert alert.ends_at - alert.starts_at == 3_600_000_000
    assert ours(FULL) == ours([FULL]) == ours({"alerts": [FULL]})
    assert set(FULL) == set(generic.FIELDS)


def test_two_services_that_use_one_key_are_two_alerts():
    made = [ours(FULL | change).alerts[0].fingerprint for change in ({}, {"service": "gateway"}, {"environment": "x"})]
    assert len(set(made)) == 3
    assert ours(FULL | {"status": "resolved", "title": "other", "labels": {}}).alerts[0].fingerprint == made[0]


def test_what_is_not_known_is_said_and_costs_no_page():
    made = ours({"key": "k", "service": "docs-api", "sevrity": "ticket"})
    assert len(made.alerts) == 1
    assert made.notes == ("alerts[0].sevrity is not known here. Did you mean 'severity'?",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key": None}, "'key' is missing"),
        ({"key": 7}, "'key' must be a string"),
        ({"status": "ok"}, "status must be"),
        ({"service": None}, "nobody knows whom to page"),
        ({"service": "docs-ap"}, "Did you mean 'docs-api'?"),
        ({"labels": {"a": 1}}, "labels.a must be a string"),
        ({"starts_at": "now"}, "not an RFC 3339 time"),
        ({"severity": []}, "'severity' must be a string"),
    ],
)
def test_what_cannot_be_taken_is_named(change, said):
    with pytest.raises(BadPayload) as caught:
        ours(FULL | change)
    assert said in str(caught.value)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=6)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(generic.FIELDS), json_values), json_values)
def test_any_json_is_taken_or_refused_with_a_sentence(change, other):
    for given_ in (FULL | change, other, {"alerts": other}, {"version": "1", "alerts": [FULL | change]}):
        for read in (generic.read, grafana.read):
            try:
                read(json.dumps(given_).encode(), SERVICES, Policy())
            except BadPayload as e:
                assert e.status in (400, 422)


def test_a_large_body_full_of_what_is_not_known_keeps_nobody_waiting():
    alerts = [FULL | {"key": f"k{i}"} | {f"field_{j}": 1 for j in range(40)} for i in range(1500)]
    began = time.process_time()
    assert len(generic.read(json.dumps(alerts).encode(), SERVICES, Policy()).notes) == generic.MOST_NOTES
    assert time.process_time() - began < 2.0


def test_a_value_that_no_float_holds_costs_no_page(body):
    assert one(body(values={"B": 10**400, "C": 1})).labels["alertname"]


# ---- which fire -------------------------------------------------------------------------------------------------------


def alert(*, firing=True, start=0, source=Source.WEBHOOK) -> Alert:
    return Alert("ff", start, firing, None, {"alertname": "k"}, {}, "docs-api", source=source)


BURNS = Fire(1_000, fired=True, ended=False, heard=100.0, over=False)
ENDED = Fire(1_000, fired=True, ended=True, heard=100.0, over=True)
NOW = 200.0


def starts(what: Alert, *fires: Fire, at: float = NOW) -> list[int]:
    return occurrences._starts(what, fires, at=at)


def test_what_is_said_again_while_it_burns_is_the_same_fire_and_afterwards_a_new_one():
    assert starts(alert()) == [200_000_000]
    assert starts(alert(), BURNS) == [1_000]
    assert starts(alert(), ENDED) == [200_000_000]
    assert starts(alert(), Fire(300_000_000, fired=True, ended=True, heard=1.0)) == [300_000_001], (
        "the clock was set back"
    )


def test_what_a_person_ended_and_comes_again_is_a_new_fire():
    assert starts(alert(), Fire(1_000, fired=True, ended=False, heard=NOW, over=True)) == [200_000_000]


def test_what_woke_nobody_is_a_new_fire_once_it_has_been_quiet_for_long():
    held = Fire(1_000, fired=True, ended=False, heard=100.0, over=None)
    assert starts(alert(), held, at=100 + LULL) == [1_000]
    assert starts(alert(), held, at=101 + LULL) == [round((101 + LULL) * 1e6)]


def test_an_end_ends_all_that_burns_and_said_again_it_is_the_same_end():
    other = Fire(2_000, fired=True, ended=False, heard=100.0, over=False)
    assert starts(alert(firing=False), other, BURNS) == [2_000, 1_000]
    assert starts(alert(firing=False), ENDED) == [1_000]
    assert starts(alert(firing=False)) == [200_000_000]


def test_an_end_of_grafanas_with_a_start_of_its_own_ends_what_burns_since_before_and_nothing_younger():
    late = alert(firing=False, start=1_500, source=Source.GRAFANA)
    younger = Fire(2_000, fired=True, ended=False, heard=100.0, over=False)
    assert starts(late, younger, BURNS) == [1_000]
    assert starts(late, younger) == [1_500]


def test_alertmanager_knows_its_fires():
    assert not occurrences.needs(alert(firing=False, start=1, source=Source.ALERTMANAGER))
    assert not occurrences.needs(alert(start=1))
    assert occurrences.needs(alert())

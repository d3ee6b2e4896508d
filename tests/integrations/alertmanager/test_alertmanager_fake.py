"""The Alertmanager stand-in: its webhooks, its timing, its API; held against bodies a real one sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from ground.waiting import until
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from bot.integrations.alertmanager.fake import FakeAlertmanager
from bot.integrations.alertmanager.fake_alerts import fingerprint, matcher
from bot.standin import CallLog, serve

DATA = Path(__file__).parents[2] / "data" / "alertmanager"
BODIES = sorted(DATA.glob("*.json"))


class Receiver:
    """Takes webhooks and answers with the statuses it is told, 200 when there are none left."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        self.headers: list[dict] = []
        self.at: list[float] = []
        self.statuses: list[int] = []
        self.meanwhile: Callable[[], object] | None = None
        """Done once, before the next delivery is answered."""
        self.came = threading.Condition()
        self.served = serve(Starlette(routes=[Route("/hook", self.hook, methods=["POST"])]))
        self.url = self.served.url + "/hook"

    async def hook(self, request):
        body = await request.json()
        with self.came:
            status = self.statuses.pop(0) if self.statuses else 200
            self.bodies.append(body)
            self.headers.append(dict(request.headers))
            self.at.append(time.monotonic())
            self.came.notify_all()
            meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await run_in_threadpool(meanwhile)
        return Response(status_code=status)

    def wait(self, count: int, seconds: float = 5.0) -> list[dict]:
        with self.came:
            assert self.came.wait_for(lambda: len(self.bodies) >= count, seconds), f"{len(self.bodies)} of {count} came"
            return list(self.bodies)

    def nothing_more(self, count: int, seconds: float) -> None:
        with self.came:
            assert not self.came.wait_for(lambda: len(self.bodies) > count, seconds), self.bodies[count:]


@pytest.fixture(scope="module")
def shared_receiver():
    receiver = Receiver()
    yield receiver
    receiver.served.stop()


@pytest.fixture
def receiver(shared_receiver):
    for held in (shared_receiver.bodies, shared_receiver.headers, shared_receiver.at, shared_receiver.statuses):
        held.clear()
    return shared_receiver


@pytest.fixture
def make(receiver):
    made = []

    def one(**timing):
        timing = {"group_wait": 0.05, "group_interval": 0.3, **timing}
        made.append(FakeAlertmanager(CallLog(), webhook_url=receiver.url, bearer="s3cret", **timing))
        return made[-1]

    yield one
    for fake in made:
        fake.stop()


@pytest.fixture
def fake(make):
    return make()


@pytest.fixture
def api(behind, fake):
    return behind(fake.app) + "/api/v2"


@pytest.mark.parametrize("path", BODIES, ids=lambda p: p.stem)
def test_fingerprints_are_alertmanagers(path):
    for alert in json.loads(path.read_text())["alerts"]:
        assert fingerprint(alert["labels"]) == alert["fingerprint"]


def shape(value):
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()} if "alertname" not in value and "slo" not in value else "labels"
    if isinstance(value, list):
        return [shape(v) for v in value[:1]]
    return type(value).__name__


def test_a_webhook_has_the_real_shape(fake, receiver):
    real = json.loads((DATA / "firing-single.json").read_text())
    (alert,) = real["alerts"]
    fake.fire(alert["labels"], alert["annotations"], starts_at=1_790_000_000.431)
    (body,) = receiver.wait(1)
    assert shape(body) == shape(real)
    assert list(body) == list(real)
    assert list(body["alerts"][0]) == list(alert)
    same = (
        "receiver",
        "status",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "version",
        "groupKey",
        "truncatedAlerts",
    )
    assert {k: body[k] for k in same} == {k: real[k] for k in same}
    sent = body["alerts"][0]
    assert {**sent, "generatorURL": ""} == {**alert, "generatorURL": "", "startsAt": "2026-09-21T14:13:20.431Z"}
    assert receiver.headers[0]["authorization"] == "Bearer s3cret"
    assert receiver.headers[0]["content-type"] == "application/json"


def test_a_group_of_sixty_comes_in_one_body(fake, receiver):
    real = json.loads((DATA / "group-of-60.json").read_text())
    for alert in real["alerts"]:
        fake.fire(alert["labels"], {})
    (body,) = receiver.wait(1)
    assert [a["fingerprint"] for a in body["alerts"]] == [a["fingerprint"] for a in real["alerts"]]
    assert body["commonLabels"] == real["commonLabels"]
    receiver.nothing_more(1, 0.4)


def test_a_burn_and_its_end(fake, receiver):
    started = fake.burn("docs-api")
    (body,) = receiver.wait(1)
    assert body["status"] == "firing"
    assert body["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert body["commonLabels"] == {
        "alertname": "SLOBurnFast", "burn": "fast", "env": "prod", "service": "docs-api", "severity": "page",
        "slo": "docs-api-availability",
    }  # fmt: skip
    assert {"summary", "runbook_url", "dashboard"} <= body["commonAnnotations"].keys()
    assert fake.calm("docs-api")
    body = receiver.wait(2)[1]
    assert body["status"] == "resolved"
    assert [(a["status"], a["fingerprint"]) for a in body["alerts"]] == [("resolved", started)]
    assert body["alerts"][0]["endsAt"] > body["alerts"][0]["startsAt"]
    assert not fake.calm("docs-api")
    receiver.nothing_more(2, 0.5)
    assert fake.state()["alerts"] == []
    told = [(d["status"], d["alerts"][0]["status"]) for d in fake.state()["deliveries"]]
    assert told == [(200, "firing"), (200, "resolved")]


def test_services_are_separate_groups(fake, receiver):
    fake.burn("docs-api")
    fake.burn("gateway")
    keys = {body["groupKey"] for body in receiver.wait(2)}
    assert keys == {f'{{}}:{{service="{s}", slo="{s}-availability"}}' for s in ("docs-api", "gateway")}


def test_an_alert_without_slo_and_service_has_an_empty_group(fake, receiver):
    fake.fire({"alertname": "Lonely"}, {})
    (body,) = receiver.wait(1)
    assert (body["groupLabels"], body["groupKey"]) == ({}, "{}:{}")


def test_a_page_keeps_the_ticket_quiet_and_its_end_lets_it_out(fake, receiver):
    fake.burn("docs-api", "fast")
    fake.burn("docs-api", "slow")
    (body,) = receiver.wait(1)
    assert [a["labels"]["burn"] for a in body["alerts"]] == ["fast"]
    fake.resolve({"alertname": "SLOBurnFast", "burn": "fast", "env": "prod", "service": "docs-api", "severity": "page", "slo": "docs-api-availability"})  # fmt: skip
    body = receiver.wait(2)[1]
    # As the real one does: the payload says "firing" although its page is already over.
    assert body["status"] == "firing"
    assert [(a["labels"]["burn"], a["status"]) for a in body["alerts"]] == [("fast", "resolved"), ("slow", "firing")]


def test_server_errors_and_lost_connections_are_tried_again_soon(fake, receiver):
    receiver.statuses = [503, 500]
    fake.burn("docs-api")
    receiver.wait(3)
    gaps = [b - a for a, b in zip(receiver.at, receiver.at[1:], strict=False)]
    assert all(0.45 <= gap <= 1.5 for gap in gaps), gaps
    until(lambda: [d["status"] for d in fake.state()["deliveries"]] == [503, 500, 200])
    receiver.nothing_more(3, 0.5)


@pytest.mark.parametrize("status", [400, 401, 429])
def test_a_refusal_is_sent_again_only_with_the_next_interval(make, receiver, status):
    fake = make(group_interval=0.7)
    receiver.statuses = [status]
    fake.burn("docs-api")
    receiver.wait(2)
    assert 0.6 <= receiver.at[1] - receiver.at[0] <= 1.2
    receiver.nothing_more(2, 0.9)


def test_nobody_listening_is_tried_again(make, receiver):
    fake = make()
    fake.webhook_url = "http://127.0.0.1:9/hook"
    fake.burn("docs-api")
    until(lambda: fake.state()["deliveries"])
    fake.webhook_url = receiver.url
    assert receiver.wait(1)[0]["status"] == "firing"
    assert fake.state()["deliveries"][0]["status"] == 599


def test_without_an_address_nothing_is_sent_and_nothing_is_lost(make, receiver):
    fake = make()
    fake.webhook_url = ""
    fake.burn("docs-api")
    receiver.nothing_more(0, 0.2)
    fake.webhook_url = receiver.url
    receiver.wait(1)


def test_it_repeats_what_still_fires(make, receiver):
    fake = make(repeat_interval=0.5)
    fake.burn("docs-api")
    bodies = receiver.wait(2)
    assert bodies[0]["alerts"] == bodies[1]["alerts"]


def test_a_silenced_alert_is_not_told_until_the_silence_ends(fake, receiver, api):
    silence = {
        "matchers": [{"name": "service", "value": "docs-.*", "isRegex": True}],
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z", "createdBy": "me", "comment": "drill",
    }  # fmt: skip
    name = requests.post(f"{api}/silences", json=silence, timeout=5).json()["silenceID"]
    fake.burn("docs-api")
    receiver.nothing_more(0, 0.5)
    (row,) = requests.get(f"{api}/alerts", timeout=5).json()
    assert row["status"] == {"inhibitedBy": [], "silencedBy": [name], "state": "suppressed"}
    assert requests.get(f"{api}/alerts", params={"silenced": "false"}, timeout=5).json() == []
    assert requests.get(f"{api}/silence/{name}", timeout=5).json()["status"] == {"state": "active"}
    assert requests.delete(f"{api}/silence/{name}", timeout=5).status_code == 200
    assert requests.get(f"{api}/silences", timeout=5).json()[0]["status"] == {"state": "expired"}
    receiver.wait(1)


def test_no_thread_without_alerts_and_none_left_when_all_is_told(make, receiver):
    def senders():
        return [t.name for t in threading.enumerate() if t.name == "alertmanager-groups"]

    fake = make()
    assert senders() == []
    fake.burn("docs-api")
    assert senders() == ["alertmanager-groups"]
    receiver.wait(1)
    fake.calm("docs-api")
    receiver.wait(2)
    until(lambda: not senders())
    fake.burn("docs-api")
    receiver.wait(3)


def test_alerts_by_post_fire_and_are_resolved_by_their_end(fake, receiver, api):
    alert = {"labels": {"alertname": "X", "service": "s", "slo": "s"}, "annotations": {"a": "b"}}
    assert requests.post(f"{api}/alerts", json=[alert], timeout=5).status_code == 200
    receiver.wait(1)
    (row,) = requests.get(f"{api}/alerts", params={"filter": 'service="s"'}, timeout=5).json()
    assert row["fingerprint"] == "559358c99be1251f"  # what a real Alertmanager called it
    assert row["status"]["state"] == "active"
    assert requests.get(f"{api}/alerts", params={"filter": "service=~t.*"}, timeout=5).json() == []
    ended = {**alert, "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2026-01-01T01:00:00Z"}
    requests.post(f"{api}/alerts", json=[ended], timeout=5)
    assert receiver.wait(2)[1]["status"] == "resolved"
    assert requests.get(f"{api}/alerts", timeout=5).json() == []


def test_an_alert_that_ends_while_its_firing_is_being_told_is_told_to_have_ended(fake, receiver, api):
    alert = {"labels": {"alertname": "X", "service": "s", "slo": "brief"}, "startsAt": "2026-01-01T00:00:00Z"}
    ended = {**alert, "endsAt": "2026-01-01T01:00:00Z"}
    receiver.meanwhile = lambda: requests.post(f"{api}/alerts", json=[ended], timeout=5)
    requests.post(f"{api}/alerts", json=[alert], timeout=5)
    assert [body["status"] for body in receiver.wait(2)] == ["firing", "resolved"]


GOOD = {"startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z", "createdBy": "me", "comment": "c"}
MATCH = {"name": "service", "value": "x", "isRegex": False}


@pytest.mark.parametrize(
    ("path", "body", "status", "answer"),
    [
        ("alerts", [{"labels": {}}], 400, "at least one label pair required"),
        ("alerts", [{"labels": {"1x": "a"}}], 400, 'invalid label set: invalid name "1x"'),
        ("alerts", {}, 400, {"code": 400, "message": 'parsing alerts body from "" failed, because json: cannot unmarshal object into Go value of type models.PostableAlerts'}),
        ("alerts", [{"annotations": {}}], 422, {"code": 602, "message": "0.labels in body is required"}),
        ("alerts", [{"labels": {"a": "b"}, "startsAt": "nope"}], 400, {"code": 400, "message": 'parsing alerts body from "" failed, because parsing time "nope" as "2006-01-02 15:04:05": cannot parse "nope" as "2006"'}),
        ("alerts", [{"labels": {"a": "b"}, "startsAt": "2026-11-23T11:00:00Z", "endsAt": "2026-11-23T10:00:00Z"}], 400, "start time must be before end time"),
        ("silences", {**GOOD, "matchers": []}, 422, {"code": 612, "message": "matchers in body should have at least 1 items"}),
        ("silences", {**GOOD, "matchers": [{**MATCH, "value": ""}]}, 400, "silence invalid: at least one matcher must not match the empty string"),
        ("silences", {**GOOD, "matchers": [MATCH], "endsAt": "2016-01-01T00:00:00Z"}, 400, "Failed to create silence: start time must be before end time"),
        ("silences", {**GOOD, "matchers": [MATCH], "endsAt": "2026-01-01T00:20:00Z"}, 400, "Failed to create silence: end time can't be in the past"),
        ("silences", {**GOOD, "matchers": [{**MATCH, "value": "(", "isRegex": True}]}, 400, 'silence invalid: invalid label matcher 0: invalid regular expression "(": error parsing regexp: missing closing ): `(`'),
        ("silences", {"matchers": [{"name": "a", "value": "x"}]}, 422, {"code": 602, "message": "comment in body is required"}),
        ("silences", {**GOOD, "matchers": [MATCH], "id": "nope"}, 404, "silence not found"),
    ],
)  # fmt: skip
def test_what_a_real_one_refuses(api, path, body, status, answer):
    got = requests.post(f"{api}/{path}", json=body, timeout=5)
    assert (got.status_code, got.json()) == (status, answer)


def test_more_of_what_a_real_one_refuses(api):
    def ask(method, path, **rest):
        got = requests.request(method, f"{api}{path}", timeout=5, **rest)
        return got.status_code, got.json() if got.content else None

    nobody = "00000000-0000-0000-0000-000000000000"
    js = {"content-type": "application/json"}
    assert ask("POST", "/alerts", data="[]", headers={"content-type": "text/plain"}) == (
        415, {"code": 415, "message": 'unsupported media type "text/plain", only [application/json] are allowed'},
    )  # fmt: skip
    assert ask("POST", "/alerts", data="[", headers=js)[1]["message"].endswith("unexpected EOF")
    assert ask("GET", "/alerts?filter=service") == (400, "bad matcher format: service")
    assert ask("GET", "/silence/nope") == (
        422,
        {"code": 601, "message": 'silenceID in path must be of type uuid: "nope"'},
    )
    assert ask("GET", f"/silence/{nobody}") == (404, None)
    assert ask("DELETE", f"/silence/{nobody}") == (500, "silence not found")
    assert ask("GET", "/nope") == (404, {"code": 404, "message": "path /api/v2/nope was not found"})
    assert ask("PUT", "/alerts") == (405, {"code": 405, "message": "method PUT is not allowed, but [POST,GET] are"})


def test_it_carries_on_after_a_restart_without_saying_twice(make, receiver):
    fake = make()
    fake.burn("docs-api")
    receiver.wait(1)
    until(lambda: fake.dump()["told"][0][3])
    kept = json.loads(json.dumps(fake.dump()))
    fake.stop()
    again = make()
    again.load(kept)
    receiver.nothing_more(1, 0.7)
    assert [a["fingerprint"] for a in again.state()["alerts"]] == [a["fingerprint"] for a in kept_rows(fake)]
    again.calm("docs-api")
    assert receiver.wait(2)[1]["status"] == "resolved"


def kept_rows(fake):
    return fake.state()["alerts"]


def test_a_change_is_told(fake):
    heard = threading.Event()
    fake.changed.append(heard.set)
    fake.burn("docs-api")
    assert heard.is_set()


@given(st.text(max_size=20), st.sampled_from(["=", "!=", "=~", "!~"]))
def test_a_quoted_filter_reads_any_value(value, op):
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    if op in ("=", "!="):
        assert matcher(f'name{op}"{escaped}"').matches({"name": value}) == (op == "=")

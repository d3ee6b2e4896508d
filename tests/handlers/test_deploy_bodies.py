"""What CI and GitHub tell of deploys, and what is said of a body that cannot be read."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.alerts.payload import BadPayload
from handlers.catalogue import Service
from handlers.deploys import github, read
from handlers.deploys.kinds import DeploySettings

NOW = 1_790_000_000.0
SERVICES = {"docs-api": Service(channel="#docs-api"), "gateway": Service(channel="#gateway", environment="edge")}
SETTINGS = DeploySettings(repositories={"acme/docs": "docs-api"}, workflows=("Deploy", "Release"))
BODY = {"service": "docs-api", "version": "1.4.3", "status": "started", "id": "77"}
SHA = "3f2c1ab90d4e5f60718293a4b5c6d7e8f9012345"


def refused(**changes):
    with pytest.raises(BadPayload) as e:
        read.read({key: value for key, value in (BODY | changes).items() if value is not None}, SERVICES, now=NOW)
    return e.value.status, str(e.value)


def test_a_deploy_needs_no_more_than_four_words():
    told = read.read(BODY, SERVICES, now=NOW).told
    assert (told.service, told.environment, told.version, told.status, told.at) == (
        "docs-api", "prod", "1.4.3", "started", NOW,
    )  # fmt: skip


def test_the_same_id_is_the_same_deploy_in_each_status_and_another_in_another_environment():
    key = read.read(BODY, SERVICES, now=NOW).told.key
    assert read.read(BODY | {"status": "failed", "at": "2026-11-26T10:00:00Z"}, SERVICES, now=NOW).told.key == key
    assert read.read(BODY | {"environment": "stage"}, SERVICES, now=NOW).told.key != key
    assert read.read(BODY | {"id": 77}, SERVICES, now=NOW).told.key == key


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"service": "docs-apy"}, "Did you mean 'docs-api'?"),
        ({"service": None}, "'service' is missing"),
        ({"status": "succeded"}, "Did you mean 'succeeded'?"),
        ({"status": None}, "Valid: started, succeeded, failed"),
        ({"id": None}, "'id' is missing"),
        ({"version": None}, "'version' is missing, and neither"),
        ({"version": ["1"]}, "'version' must be a string, not list"),
        ({"at": "yesterday"}, "'at' is not an RFC 3339 time"),
        ({"at": "2026-11-26T10:00:00"}, "'at' has no time zone"),
    ],
)
def test_what_is_wrong_is_said_with_the_nearest_right_word(changes, said):
    status, why = refused(**changes)
    assert status == 422
    assert said in why


def test_what_ci_calls_its_own_status_is_understood():
    told = [read.read(BODY | {"status": one}, SERVICES, now=NOW).told for one in ("success", "failure", "canceled")]
    assert [one.status for one in told] == ["succeeded", "failed", "failed"]
    assert told[2].why == "canceled"


def test_a_version_is_read_off_the_image_or_the_revision():
    image = read.read(BODY | {"version": "", "image": "ghcr.io/x/docs-api:9"}, SERVICES, now=NOW).told
    assert image.version == "9"
    assert read.read(BODY | {"version": "", "revision": SHA}, SERVICES, now=NOW).told.version == SHA[:12]


def test_what_is_not_understood_is_told_to_whoever_tries_it_out():
    heard = read.read(BODY | {"enviroment": "prod", "url": "javascript:alert(1)"}, SERVICES, now=NOW)
    assert any("Did you mean 'environment'?" in note for note in heard.notes)
    assert heard.told.url == ""
    assert any("'url' is left out" in note for note in heard.notes)


@given(
    st.dictionaries(
        st.sampled_from(list(read.FIELDS)), st.text(max_size=2000) | st.integers() | st.booleans() | st.none()
    )
)
def test_no_body_breaks_it(data):
    try:
        told = read.read(data, SERVICES, now=NOW).told
    except BadPayload as e:
        assert 400 <= e.status < 500
    else:
        assert told.service in SERVICES
        assert "\0" not in json.dumps(told.plain())


def test_only_the_secret_signs():
    body = b'{"a": 1}'
    good = "sha256=" + hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    assert read.signed(body, good, "secret")
    assert read.signed(body, good.upper().replace("SHA256", "sha256"), "secret")
    assert not read.signed(body, good, "other")
    assert not read.signed(body + b" ", good, "secret")
    assert not read.signed(body, "", "secret")
    assert not read.signed(body, "sha256=" + hmac.new(b"", body, hashlib.sha256).hexdigest(), "")


def test_github_may_send_a_form():
    form = urllib.parse.urlencode({"payload": json.dumps({"a": "ü"})}).encode()
    assert read.parsed(form, "application/x-www-form-urlencoded; charset=utf-8") == {"a": "ü"}
    with pytest.raises(BadPayload):
        read.parsed(b"payload=", "application/x-www-form-urlencoded")


# ---- GitHub ------------------------------------------------------------------------------------------------------------


def deployment(state="success", **changes):
    """As GitHub sends it, less what is not read."""
    return {
        "action": "created",
        "deployment_status": {
            "id": 9, "state": state, "creator": {"login": "alice"}, "description": "it broke",
            "environment": "prod", "log_url": "https://github.com/acme/docs/actions/runs/5", "target_url": "",
            "created_at": "2026-09-21T13:20:00Z",
        },
        "deployment": {
            "id": 7, "sha": SHA, "ref": "main", "environment": "prod", "payload": {}, "creator": {"login": "bot"},
        } | changes,
        "repository": {"full_name": "acme/docs"},
    }  # fmt: skip


def run(conclusion="success", *, action="completed", **changes):
    return {
        "action": action,
        "workflow_run": {
            "id": 5, "run_attempt": 1, "name": "Deploy", "head_sha": SHA, "head_branch": "v1.4.3",
            "conclusion": conclusion, "html_url": "https://github.com/acme/docs/actions/runs/5",
            "actor": {"login": "alice"}, "run_started_at": "2026-09-21T13:19:00Z", "updated_at": "2026-09-21T13:20:00Z",
        } | changes,
        "repository": {"full_name": "acme/docs"},
    }  # fmt: skip


def heard(event, data):
    return github.read(event, data, SERVICES, SETTINGS, now=NOW)


def test_a_deployment_of_github_is_read():
    told = heard("deployment_status", deployment()).told
    assert (told.service, told.environment, told.status, told.version, told.revision) == (
        "docs-api", "prod", "succeeded", SHA[:12], SHA,
    )  # fmt: skip
    assert told.by == "alice"
    assert told.url == "https://github.com/acme/docs/actions/runs/5"
    failed = heard("deployment_status", deployment("failure")).told
    assert (failed.key, failed.status, failed.why) == (told.key, "failed", "it broke")


def test_a_deployment_may_name_its_service_and_its_version():
    told = heard("deployment_status", deployment(payload={"service": "gateway", "version": "2.0"})).told
    assert (told.service, told.version) == ("gateway", "2.0")
    assert heard("deployment_status", deployment(ref="v1.4.3")).told.version == "v1.4.3"


@pytest.mark.parametrize("state", ["inactive", "waiting", "something new"])
def test_what_is_no_news_is_taken_and_not_heard(state):
    found = heard("deployment_status", deployment(state))
    assert found.told is None
    assert state in found.notes[0]


def test_a_run_of_a_workflow_that_deploys_is_read_and_each_attempt_is_a_deploy():
    told = heard("workflow_run", run()).told
    assert (told.status, told.version, told.by) == ("succeeded", "v1.4.3", "alice")
    begun = heard("workflow_run", run(None, action="requested")).told
    assert (begun.key, begun.status) == (told.key, "started")
    assert begun.at < told.at
    assert heard("workflow_run", run(run_attempt=2)).told.key != told.key
    assert heard("workflow_run", run("timed_out")).told.why == "the workflow Deploy: timed out"
    assert heard("workflow_run", run("skipped")).told is None


def test_other_workflows_and_events_are_no_deploys():
    assert "'Lint'" in heard("workflow_run", run(name="Lint")).notes[0]
    assert "'push'" in heard("push", {}).notes[0]


def test_a_repository_that_is_no_service_is_refused_with_where_to_name_it():
    with pytest.raises(BadPayload) as e:
        heard("workflow_run", run() | {"repository": {"full_name": "acme/other"}})
    assert e.value.status == 422
    assert "deploys.repositories" in str(e.value)


@given(st.sampled_from(["deployment_status", "workflow_run"]), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.dictionaries(
        st.sampled_from(["deployment", "deployment_status", "workflow_run", "repository", "full_name", "state", "id", "sha", "name"]),
        inner, max_size=6,
    ), max_leaves=20,
))  # fmt: skip
def test_no_event_breaks_it(event, data):
    if not isinstance(data, dict):
        return
    try:
        heard(event, data)
    except BadPayload as e:
        assert 400 <= e.status < 500


def test_half_a_character_anywhere_in_a_body_is_nothing_that_an_answer_or_a_database_stumbles_over():
    raw = b'{"\\ud800": 1, "url": "https://x/\\ud800\\u0000", "a": [{"b": "\\udfff"}]}'
    json.dumps(read.parsed(raw, "application/json"), ensure_ascii=False).encode()
    for deep in (b'{"a": ' * 600 + b"1" + b"}" * 600, b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}"):
        with contextlib.suppress(BadPayload):
            read.parsed(deep, "application/json")
    with pytest.raises(BadPayload):
        read.parsed(b'{"id": ' + b"9" * 5000 + b"}", "application/json")

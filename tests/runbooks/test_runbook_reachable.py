"""Whether the bot's own systems answer: each through its real client, and in each way of not answering."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from bot.integrations import connect
from bot.integrations.alertmanager import AlertmanagerSettings
from bot.integrations.alertmanager.fake import FakeAlertmanager
from bot.integrations.jira import JiraSettings
from bot.integrations.jira.fake import API_TOKEN as JIRA_TOKEN
from bot.integrations.jira.fake import EMAIL, FakeJira
from bot.integrations.kubernetes import KubernetesSettings
from bot.integrations.kubernetes.fake import FakeKubernetes
from bot.integrations.pagerduty import PagerDutySettings
from bot.integrations.pagerduty.fake import API_TOKEN as PAGER_TOKEN
from bot.integrations.pagerduty.fake import FakePagerDuty
from bot.integrations.prometheus import PrometheusSettings
from bot.integrations.prometheus.fake import FakePrometheus
from bot.integrations.slack import SlackSettings
from bot.integrations.slack.fake import BOT_TOKEN, FakeSlack
from bot.standin import CallLog, serve
from handlers.checks import looks
from handlers.desk import Outside
from runbooks import Outcome
from runbooks.kinds.reachable import SYSTEMS


class All:
    """All six stand-ins behind one address, and the looks of a bot that is configured for them."""

    def __init__(self):
        calls = CallLog()
        self.fakes = {
            "slack": FakeSlack(calls), "pagerduty": FakePagerDuty(calls), "jira": FakeJira(calls),
            "prometheus": FakePrometheus(calls), "alertmanager": FakeAlertmanager(calls),
            "kubernetes": FakeKubernetes(calls, rollout_seconds=None),
        }  # fmt: skip
        self.door = serve(Starlette(routes=[Mount(f"/{name}", app=fake.app) for name, fake in self.fakes.items()]))
        self.looks = looks(self.outside())

    def outside(self, slack_token=BOT_TOKEN, pager_token=PAGER_TOKEN):
        at = {name: f"{self.door.url}/{name}" for name in self.fakes}
        return Outside(
            chat=connect.slack(
                SlackSettings(bot_token=slack_token, app_token="xapp-1", base_url=f"{at['slack']}/api/")
            ),
            pager=connect.pagerduty(
                PagerDutySettings(events_url=at["pagerduty"], rest_url=at["pagerduty"], api_token=pager_token)
            ),
            tracker=connect.jira(JiraSettings(url=at["jira"], email=EMAIL, api_token=JIRA_TOKEN)),
            metrics=connect.prometheus(PrometheusSettings(url=at["prometheus"])),
            alerts=connect.alertmanager(AlertmanagerSettings(url=at["alertmanager"], webhook_secret="x")),
            cluster=connect.kubernetes(KubernetesSettings(url=at["kubernetes"])),
        )


@pytest.fixture(scope="module")
def everything():
    made = All()
    yield made
    made.door.stop()


@pytest.fixture
def ping(one, everything):
    def look(system, *, looks=None, timeout=5):
        return one(f"kind: reachable\nsystem: {system}\ntimeout: {timeout}", looks or everything.looks)

    yield look
    for fake in everything.fakes.values():
        fake.faults.mend()


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_that_answers(ping, system):
    result = ping(system)
    assert result.outcome is Outcome.PASS, result.detail
    assert result.detail.startswith(f"{system} answers: ")


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("mode", ["500", "503", "hang", "reset"])
def test_a_system_that_gives_no_answer_fails(ping, everything, system, mode):
    everything.fakes[system].faults.breaks(mode)
    result = ping(system, timeout=0.6)
    assert result.outcome is Outcome.FAIL, result.detail
    assert result.detail


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_that_was_asked_too_often_does_not_pass(ping, everything, system):
    everything.fakes[system].faults.breaks("429")
    result = ping(system)
    assert result.outcome is (Outcome.INCONCLUSIVE if system in ("slack", "pagerduty", "jira") else Outcome.FAIL)


def test_a_token_that_is_revoked_fails(ping, everything):
    given = looks(everything.outside(slack_token="xoxb-revoked", pager_token="revoked"))
    assert ping("slack", looks=given).outcome is Outcome.FAIL
    result = ping("pagerduty", looks=given)
    assert result.outcome is Outcome.FAIL
    assert "pagerduty.api_token" in result.detail


def test_a_system_without_its_setting_says_which(ping, everything):
    given = looks(everything.outside(pager_token=None))
    result = ping("pagerduty", looks=given)
    assert result.outcome is Outcome.ERROR
    assert "set pagerduty.api_token in captain.yml" in result.detail
    for system in SYSTEMS:
        nothing = ping(system, looks=looks(Outside()))
        assert nothing.outcome is Outcome.ERROR
        assert nothing.detail == f"{system} is not configured: add a {system}: section to captain.yml"


def test_something_else_that_answers_there_fails(ping, everything):
    metrics = connect.prometheus(PrometheusSettings(url=f"{everything.door.url}/kubernetes"))
    result = ping("prometheus", looks=looks(Outside(metrics=metrics)))
    assert result.outcome is Outcome.FAIL
    assert "refused the call (404)" in result.detail


def test_a_system_that_is_gone_fails(ping):
    metrics = connect.prometheus(PrometheusSettings(url="http://127.0.0.1:9"))
    result = ping("prometheus", looks=looks(Outside(metrics=metrics)))
    assert result.outcome is Outcome.FAIL
    assert "cannot be reached" in result.detail

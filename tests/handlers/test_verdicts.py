"""The sentences that are stored with an alert: whom it wakes, or why nobody."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.alerts.payload import Alert
from handlers.catalogue import Policy, Service
from handlers.incidents import verdicts
from handlers.incidents.rules import Severity

KEY = "a" * 32
PAGES = "opened INC-12 and pages the on-call of docs-api: "
UNKNOWN = f"{PAGES}severity 'blocker' is not among incidents.severities, and the unknown is sev2 to be safe"
FALLBACK = (
    f"{PAGES}severity 'page' is sev2 (service 'docs-app' is not in captain.yml, "
    "so docs-api takes it as incidents.fallback_service)"
)


def desk(*, pager=True, tracker=True, key=True, jira="OPS", fallback=""):
    services = {"docs-api": Service(channel="#docs-api", pagerduty=KEY if key else None, jira=jira)}
    outside = SimpleNamespace(pager=object() if pager else None, tracker=object() if tracker else None)
    return SimpleNamespace(services=services, outside=outside, policy=Policy(fallback_service=fallback))


def alert(severity: str | None = "page", **labels: str) -> Alert:
    given = {"alertname": "Burn", "service": "docs-api"} | labels | ({"severity": severity} if severity else {})
    return Alert("2ced", 1, True, None, given, {}, "docs-api")


def opened(desk, alert):
    return verdicts.opened(desk, 12, alert, verdicts.severity_of(desk, alert.labels))


def incident(**changes):
    row = {
        "number": 12,
        "severity": "sev2",
        "status": "triggered",
        "service": "docs-api",
        "paged_at": None,
        "acked_by": "",
        "umbrella": None,
    }
    return SimpleNamespace(**(row | changes))


@pytest.mark.parametrize(
    ("desk", "alert", "said"),
    [
        (desk(), alert(), "opened INC-12 and pages the on-call of docs-api: severity 'page' is sev2"),
        (desk(), alert("CRITICAL"), "opened INC-12 and pages the on-call of docs-api: severity 'CRITICAL' is sev1"),
        (desk(), alert("ticket"), "opened INC-12, pages nobody: severity 'ticket' is sev3, which makes a ticket"),
        (
            desk(tracker=False),
            alert("info"),
            "opened INC-12, pages nobody: severity 'info' is sev3, which wakes nobody",
        ),
        (desk(jira=""), alert("info"), "opened INC-12, pages nobody: severity 'info' is sev3, which wakes nobody"),
        (
            desk(key=False),
            alert(),
            "opened INC-12, pages nobody: services.docs-api.pagerduty is not set in captain.yml",
        ),
        (desk(pager=False), alert(), "opened INC-12, pages nobody: there is no pagerduty: section in captain.yml"),
        (
            desk(),
            alert("blocker"),
            UNKNOWN,
        ),
        (
            desk(),
            alert(None),
            "opened INC-12 and pages the on-call of docs-api: it has no severity label, and the unknown is sev2 to be safe",
        ),
        (
            desk(fallback="docs-api"),
            alert(service="docs-app"),
            FALLBACK,
        ),
    ],
)
def test_what_opened_an_incident_says_whom_it_wakes_and_why(desk, alert, said):
    assert opened(desk, alert) == said


@pytest.mark.parametrize(
    ("desk", "row", "said"),
    [
        (desk(), incident(), "joined INC-12, pages nobody again: whom it pages was decided before"),
        (desk(), incident(paged_at=5.0), "joined INC-12, pages nobody again: PagerDuty has its page already"),
        (
            desk(),
            incident(status="acknowledged", acked_by="alice", paged_at=5.0),
            "joined INC-12, pages nobody again: alice has it",
        ),
        (
            desk(key=False),
            incident(),
            "joined INC-12, pages nobody: services.docs-api.pagerduty is not set in captain.yml",
        ),
        (
            desk(),
            incident(severity="sev3"),
            "joined INC-12, pages nobody: severity 'ticket' is sev3, which makes a ticket",
        ),
    ],
)
def test_what_joined_an_incident_says_why_nobody_is_paged_again(desk, row, said):
    assert verdicts.joined(desk, row, alert("ticket"), Severity.SEV3) == said


def test_what_raised_an_incident_pages_when_it_did_not_before():
    up = alert("critical")
    said = verdicts.raised(desk(), incident(severity="sev3"), up, Severity.SEV1)
    assert said == "raised INC-12 from sev3 to sev1 and pages the on-call of docs-api: severity 'critical' is sev1"
    said = verdicts.raised(desk(), incident(paged_at=5.0), up, Severity.SEV1)
    assert said == "raised INC-12 from sev2 to sev1, pages nobody again: PagerDuty has its page already"


def test_what_ended_says_whether_anything_still_fires():
    assert verdicts.ended(12, 0, over=False) == "resolved: nothing of INC-12 fires any more"
    assert verdicts.ended(12, 1, over=False) == "resolved: 1 other alert of INC-12 still fires"
    assert verdicts.ended(12, 3, over=False) == "resolved: 3 other alerts of INC-12 still fire"
    assert verdicts.ended(12, 0, over=True) == "resolved: INC-12 was over already"


def test_opened_by_hand_says_whom_it_wakes():
    assert verdicts.opened_by_hand(desk(), Severity.SEV1, "docs-api") == (
        "pages the on-call of docs-api: it was opened as sev1"
    )
    assert verdicts.opened_by_hand(desk(), Severity.SEV3, "docs-api") == (
        "pages nobody: it was opened as sev3, which makes a ticket"
    )


@given(st.text(max_size=20_000), st.booleans(), st.booleans())
def test_a_verdict_stays_short_and_agrees_with_whether_a_page_is_owed(label, pager, key):
    here = desk(pager=pager, key=key)
    one = alert(label)
    severity = verdicts.severity_of(here, one.labels)
    said = opened(here, one)
    assert len(said) < 400
    assert ("pages nobody" in said) is not verdicts.pages(here, severity, "docs-api")

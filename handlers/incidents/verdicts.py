"""The verdicts: what was decided about an alert and whom that wakes, with the reason, as sentences that are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.alerts.payload import Alert
from handlers.desk import Desk
from handlers.incidents import grouping
from handlers.incidents.rules import Severity, Status
from handlers.storms import words as storm_words

NEVER_FIRED = "resolved before it fired: nothing to do"
CAME_TOO_LATE = "already resolved when it arrived: nobody is paged"
SEEN_BEFORE = "seen before: nobody is paged twice"
TEST = "pages nobody: it was opened as a test"
LONGEST_LABEL = 60
"""Characters of a label value that a sentence shows."""


def severity_of(desk: Desk, labels: Mapping[str, str]) -> Severity:
    """Our severity for an alert's. A label that is not in the policy pages: silence is the worse mistake."""
    if desk.policy.no_data is not None and labels.get("alertname") in grouping.BLIND:
        return desk.policy.no_data
    return desk.policy.severities.get(labels.get("severity", "").lower(), Severity.SEV2)


def pages(desk: Desk, severity: Severity, service: str) -> bool:
    """True when an incident of this severity wakes the service's on-call."""
    return severity.pages and not _deaf(desk, service)


def opened(desk: Desk, number: int, alert: Alert, severity: Severity) -> str:
    """The verdict of an alert that opened an incident."""
    return f"opened INC-{number}{_paging(desk, severity, alert.service, label(desk, alert, severity))}"


def opened_by_hand(desk: Desk, severity: Severity, service: str, *, test: bool = False) -> str:
    """What a person's incident wakes, and why: ``pages nobody: …``."""
    if test:
        return TEST
    return opened_by_itself(desk, severity, service, f"it was opened as {severity.value}")


def opened_by_itself(desk: Desk, severity: Severity, service: str, reason: str) -> str:
    """What an incident wakes that no alert opened, and why."""
    return _paging(desk, severity, service, reason).removeprefix(" and ").removeprefix(", ")


def reopened(desk: Desk, row: Any, alert: Alert, severity: Severity) -> str:
    """The verdict of an alert that fires again so soon that its incident is reopened. ``row``: the incident as it was."""
    return f"reopened INC-{row.number}{_paging(desk, severity, alert.service, label(desk, alert, severity))}"


def raised(desk: Desk, row: Any, alert: Alert, severity: Severity) -> str:
    """The verdict of an alert that made an open incident worse. ``row``: the incident as it was."""
    what = f"raised INC-{row.number} from {row.severity} to {severity.value}"
    if Severity(row.severity).pages:
        return f"{what}{_again(desk, row)}"
    return f"{what}{_paging(desk, severity, row.service, label(desk, alert, severity))}"


def joined(desk: Desk, row: Any, alert: Alert, severity: Severity) -> str:
    """The verdict of an alert that belongs to an open incident and makes it no worse."""
    if Severity(row.severity).pages:
        return f"joined INC-{row.number}{_again(desk, row)}"
    return f"joined INC-{row.number}{_paging(desk, severity, row.service, label(desk, alert, severity))}"


def alone(missing: str) -> str:
    """What is added to the verdict of an alert without a label of the template: it is one incident with nothing else."""
    return f"; it has no label '{missing}', which group_by wants, so it is an incident of its own"


def ended(number: int, firing: int, *, over: bool) -> str:
    """The verdict of an alert that resolved.

    ``firing``: how many alerts of the incident still fire. ``over``: the incident had ended before.
    """
    if over:
        return f"resolved: INC-{number} was over already"
    if firing:
        return f"resolved: {_alerts(firing)} of INC-{number} still {'fires' if firing == 1 else 'fire'}"
    return f"resolved: nothing of INC-{number} fires any more"


def frozen(number: int) -> str:
    """The verdict of an alert that resolved while nothing is known of what it was about."""
    return f"resolved, but INC-{number} stays open: there is no data, and no data is no end"


def _paging(desk: Desk, severity: Severity, service: str, reason: str) -> str:
    """`` and pages …: why`` or ``, pages nobody: why``."""
    if not severity.pages:
        follows = "makes a ticket" if desk.outside.tracker and desk.services[service].jira else "wakes nobody"
        return f", pages nobody: {reason}, which {follows}"
    deaf = _deaf(desk, service)
    return f", pages nobody: {deaf}" if deaf else f" and pages the on-call of {service}: {reason}"


def _again(desk: Desk, row: Any) -> str:
    """Why a further alert of an incident that pages wakes nobody anew."""
    deaf = _deaf(desk, row.service)
    if deaf:
        return f", pages nobody: {deaf}"
    if row.umbrella is not None:
        return f", {storm_words.folded(row.umbrella)}"
    if row.status in (Status.ACKNOWLEDGED.value, Status.MITIGATED.value):
        return f", pages nobody again: {row.acked_by[:LONGEST_LABEL]} has it"
    if row.paged_at is not None:
        return ", pages nobody again: PagerDuty has its page already"
    return ", pages nobody again: whom it pages was decided before"


def _deaf(desk: Desk, service: str) -> str:
    """Why nobody can be paged for a service; empty when somebody can."""
    if desk.outside.pager is None:
        return "there is no pagerduty: section in captain.yml"
    if desk.services[service].pagerduty is None:
        return f"services.{service}.pagerduty is not set in captain.yml"
    return ""


def label(desk: Desk, alert: Alert, severity: Severity) -> str:
    """``severity 'page' is sev2``; and of whom it is when the alert did not say."""
    given = alert.labels.get("severity", "")
    if desk.policy.no_data is not None and alert.labels.get("alertname") in grouping.BLIND:
        said = f"it says that something cannot be measured, which is {severity.value} by incidents.no_data"
    elif given.lower() in desk.policy.severities:
        said = f"severity '{given[:LONGEST_LABEL]}' is {severity.value}"
    elif given:
        said = f"severity '{given[:LONGEST_LABEL]}' is not among incidents.severities, and the unknown is {severity.value} to be safe"
    else:
        said = f"it has no severity label, and the unknown is {severity.value} to be safe"
    named = alert.labels.get(desk.policy.service_label, "")
    if named != alert.service:
        whose = f"service '{named[:LONGEST_LABEL]}' is not in captain.yml" if named else "it names no service"
        said += f" ({whose}, so {alert.service} takes it as incidents.fallback_service)"
    return said


def _alerts(n: int) -> str:
    return "1 other alert" if n == 1 else f"{n} other alerts"

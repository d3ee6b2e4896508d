"""Checks: runs a service's runbook through the clients that are configured, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network

from bot.errors import GiveUp, Retry
from handlers.desk import Desk, Outside
from runbooks import Looks, Report, run


def looks(outside: Outside, allow: Sequence[IPv4Network | IPv6Network] = ()) -> Looks:
    """The clients that checks look with, of those that are configured.

    ``allow``: networks that may be looked at although they are link-local or a cloud's metadata.
    """
    asked = {
        "slack": outside.chat,
        "pagerduty": outside.pager,
        "jira": outside.tracker,
        "prometheus": outside.metrics,
        "alertmanager": outside.alerts,
        "kubernetes": outside.cluster,
    }
    pings: dict[str, Callable[[], str]] = {name: client.ping for name, client in asked.items() if client is not None}
    return Looks(metrics=outside.metrics, cluster=outside.cluster, pings=pings, allow=tuple(allow))


def check_service(desk: Desk, service: str) -> Report:
    """Run the runbook of a service of the catalogue.

    Raises GiveUp when it names none that exists, and Retry when this process is asked to stop: the next one looks anew.
    """
    name = desk.services[service].runbook
    runbook = desk.runbooks.get(name)
    if runbook is None:
        raise GiveUp(
            f"services.{service}.runbook names '{name}', which is not among the runbooks: {', '.join(desk.runbooks)}"
        )
    parameters = {"service": service, "environment": desk.services[service].environment}
    known = {key: value for key, value in parameters.items() if key in runbook.parameters}
    stop = desk.engine.stopping
    report = run(runbook, known, looks(desk.outside), deadline_s=desk.policy.checks_deadline, cancelled=stop)
    if stop.is_set():
        raise Retry("I was stopped while I looked; it is looked at anew", after=0.1)
    return report

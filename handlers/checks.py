"""Checks: runs a service's runbook through the clients that are configured, and changes nothing."""

from __future__ import annotations

from bot.errors import GiveUp, Retry
from handlers.desk import Desk
from runbooks import Looks, Report, run


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
    looks = Looks(metrics=desk.outside.metrics, cluster=desk.outside.cluster)
    parameters = {"service": service, "environment": desk.services[service].environment}
    known = {key: value for key, value in parameters.items() if key in runbook.parameters}
    stop = desk.engine.stopping
    report = run(runbook, known, looks, deadline_s=desk.policy.checks_deadline, cancelled=stop)
    if stop.is_set():
        raise Retry("I was stopped while I looked; it is looked at anew", after=0.1)
    return report

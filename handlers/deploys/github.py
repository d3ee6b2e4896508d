"""Reads GitHub's own webhooks: ``deployment_status``, and ``workflow_run`` of the workflows that deploy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from handlers.alerts.payload import BadPayload
from handlers.catalogue import Service
from handlers.deploys import rules
from handlers.deploys.kinds import DeploySettings, Status, Told
from handlers.deploys.read import Heard, address, instant, key_of, known, line

STATES: Mapping[str, Status] = {
    "queued": Status.STARTED,
    "pending": Status.STARTED,
    "in_progress": Status.STARTED,
    "success": Status.SUCCEEDED,
    "failure": Status.FAILED,
    "error": Status.FAILED,
}
"""What a deployment's state means; ``inactive`` is said of the one before, and ``waiting`` of one nobody has begun."""
CONCLUSIONS: Mapping[str, Status] = {
    "success": Status.SUCCEEDED,
    "failure": Status.FAILED,
    "timed_out": Status.FAILED,
    "startup_failure": Status.FAILED,
    "cancelled": Status.FAILED,
}
NUMBERED = re.compile(r"v?\d+(\.\d+)+.*")
"""A branch or tag that is a version."""


def read(
    event: str, data: Mapping[str, Any], services: Mapping[str, Service], settings: DeploySettings, *, now: float
) -> Heard:
    """What an event tells. ``event``: GitHub's X-GitHub-Event. Raises BadPayload."""
    if event not in ("deployment_status", "workflow_run"):
        return Heard(None, (f"the event '{event[:40]}' is not heard; deployment_status and workflow_run are",))
    try:
        reads = _deployment if event == "deployment_status" else _workflow
        return reads(data, services, settings, now)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as e:
        raise BadPayload(400, f"the body is not GitHub's {event}: {e!s:.80} is missing or of another type") from e


def _deployment(
    data: Mapping[str, Any], services: Mapping[str, Service], settings: DeploySettings, now: float
) -> Heard:
    deployment, status, where = data["deployment"], data["deployment_status"], str(data["repository"]["full_name"])
    state = STATES.get(str(status["state"]))
    if state is None:
        return Heard(None, (f"a deployment that is {line(str(status['state']), 40)} is no news",))
    extra = deployment.get("payload")
    extra = extra if isinstance(extra, dict) else {}
    service = _service(where, services, settings, str(extra.get("service") or ""))
    sha, ref = line(str(deployment["sha"]), 64), line(str(deployment.get("ref") or ""))
    environment = str(status.get("environment") or deployment.get("environment") or services[service].environment)
    links = (status.get("log_url"), status.get("target_url"), status.get("environment_url"))
    told = Told(
        key_of("github", "deployment", where, str(int(deployment["id"]))),
        "github:deployment",
        "github",
        service,
        line(environment, 80),
        state.value,
        rules.believed(instant(status.get("created_at"), "created_at"), now),
        line(str(extra.get("version") or "")) or (ref if NUMBERED.fullmatch(ref) else sha[:12]),
        revision=sha,
        by=_who(status.get("creator") or deployment.get("creator")),
        url=next((found for one in links if (found := address(str(one or "")))), ""),
        why=line(str(status.get("description") or "")) if state is Status.FAILED else "",
    )
    return Heard(told)


def _workflow(data: Mapping[str, Any], services: Mapping[str, Service], settings: DeploySettings, now: float) -> Heard:
    run, where = data["workflow_run"], str(data["repository"]["full_name"])
    name = str(run.get("name") or "")
    if name.strip().lower() not in settings.workflows:
        said = f"the workflow '{line(name, 80)}' is not among deploys.workflows of captain.yml, so it is no deploy"
        return Heard(None, (said,))
    conclusion = str(run.get("conclusion") or "")
    state = CONCLUSIONS.get(conclusion) if data.get("action") == "completed" else Status.STARTED
    if state is None:
        return Heard(None, (f"a run that ended as {line(conclusion, 40)} has deployed nothing",))
    service = _service(where, services, settings, "")
    sha, ref = line(str(run["head_sha"]), 64), line(str(run.get("head_branch") or ""))
    began = run.get("run_started_at") or run.get("created_at")
    told = Told(
        # A run that is started again is another deploy: its attempts are counted.
        key_of("github", "run", where, str(int(run["id"])), str(int(run.get("run_attempt") or 1))),
        "github:run",
        "github",
        service,
        services[service].environment,
        state.value,
        rules.believed(instant(began if state is Status.STARTED else run.get("updated_at"), "updated_at"), now),
        ref if NUMBERED.fullmatch(ref) else sha[:12],
        revision=sha,
        by=_who(run.get("triggering_actor") or run.get("actor")),
        url=address(str(run.get("html_url") or "")),
        why=f"the workflow {line(name, 80)}: {conclusion.replace('_', ' ')}" if state is Status.FAILED else "",
    )
    return Heard(told)


def _service(where: str, services: Mapping[str, Service], settings: DeploySettings, named: str) -> str:
    """The service that a repository is: as its deployment says, as captain.yml says, or by its own name."""
    service = named or settings.repositories.get(where) or where.rpartition("/")[2]
    known(service, services, f"Name the service of {where[:140]} under deploys.repositories")
    return service


def _who(person: Any) -> str:
    return line(str(person.get("login") or ""), 80) if isinstance(person, dict) else ""

"""The whole of captain.yml: every section that is known, and the mistakes that no single section can see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bot import config, grammar
from bot.config import CaptainSettings
from bot.engine import Engine
from bot.integrations.alertmanager import AlertmanagerSettings
from bot.integrations.heartbeat import HeartbeatSettings
from bot.integrations.jira import JiraSettings
from bot.integrations.kubernetes import KubernetesSettings
from bot.integrations.pagerduty import PagerDutySettings
from bot.integrations.prometheus import PrometheusSettings
from bot.integrations.slack import SlackSettings
from bot.store import Store
from bot.yaml_lines import Place
from handlers.access import Permissions
from handlers.access import misfits as access_misfits
from handlers.actions.kinds import Action, unoffered
from handlers.actions.kinds import misfits as action_misfits
from handlers.alerts.generic import WebhookSettings
from handlers.alerts.grafana import GrafanaSettings
from handlers.catalogue import Policy, Service, Watchdog
from handlers.catalogue import misfits as catalogue_misfits
from handlers.deploys.kinds import DeploySettings
from handlers.deploys.kinds import misfits as deploy_misfits
from handlers.desk import Desk, Outside
from handlers.flags.kinds import Flag
from handlers.flags.kinds import misfits as flag_misfits
from handlers.noise.kinds import Noise, Window
from handlers.noise.kinds import misfits as noise_misfits
from handlers.runs.settings import RunbookSettings, with_parameters
from handlers.runs.settings import misfits as runbook_misfits
from handlers.slo.kinds import Slo
from handlers.slo.lint import misfits as slo_misfits
from handlers.subjects import SUBJECTS
from handlers.watchdogs.rules import misfits as watchdog_misfits
from runbooks import Runbook, load_folder, shipped


class Settings(BaseModel):
    """captain.yml. A section that is missing is a service that is not configured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    captain: CaptainSettings = CaptainSettings()
    slack: SlackSettings | None = None
    pagerduty: PagerDutySettings | None = None
    jira: JiraSettings | None = None
    prometheus: PrometheusSettings | None = None
    alertmanager: AlertmanagerSettings | None = None
    grafana: GrafanaSettings | None = None
    webhooks: WebhookSettings | None = None
    kubernetes: KubernetesSettings | None = None
    services: Mapping[str, Service] = Field(default_factory=dict)
    incidents: Policy = Policy()
    watchdogs: Mapping[str, Watchdog] = Field(default_factory=dict)
    heartbeat: HeartbeatSettings | None = None
    flags: Mapping[str, Flag] = Field(default_factory=dict)
    actions: Mapping[str, Action] = Field(default_factory=dict)
    slos: Mapping[str, Slo] = Field(default_factory=dict)
    maintenance: Mapping[str, Window] = Field(default_factory=dict)
    noise: Noise = Noise()
    deploys: DeploySettings = DeploySettings()
    runbooks: RunbookSettings = RunbookSettings()
    permissions: Permissions = Permissions()


def load(path: Path, environ: Mapping[str, str]) -> tuple[Settings, Mapping[str, Runbook]]:
    """Read captain.yml and the runbooks it may name. Raises ConfigError with file and line of every mistake."""
    found: dict[str, Runbook] = {}

    def judge(made: Settings) -> Iterator[tuple[Place, str]]:
        found.update(shipped())
        place: Place = ("runbooks", "folder") if made.runbooks.folder else ("captain", "runbooks")
        if made.runbooks.folder and made.captain.runbooks:
            yield ("captain", "runbooks"), "and runbooks.folder name a folder each; runbooks.folder alone is enough"
        elif name := made.runbooks.folder or made.captain.runbooks:
            folder = path.parent / name
            if not folder.is_dir():
                yield place, f"the folder {folder} does not exist"
            else:
                found.update(load_folder(folder))
        yield from with_parameters(found, made.runbooks.parameters)
        yield from _misfits(made, found)

    return config.load(path, Settings, environ, judge), found


def _misfits(made: Settings, runbooks: Mapping[str, Runbook]) -> Iterator[tuple[Place, str]]:
    """Mistakes that no single section can see."""
    if not made.services:
        yield ("services",), "no service is configured, so no alert has anyone to go to; add one"
    known = list(grammar.commands(SUBJECTS).values())
    yield from access_misfits(made.permissions, known, slack=made.slack is not None)
    if made.slack is not None:
        if made.slack.mode == "socket" and made.slack.app_token is None:
            yield ("slack", "app_token"), "is missing; mode: socket needs an xapp-… token"
        if made.slack.mode == "http" and made.slack.signing_secret is None:
            yield ("slack", "signing_secret"), "is missing; mode: http needs it to know Slack from others"
    if made.alertmanager is not None and made.alertmanager.receiver and not made.alertmanager.url:
        yield ("alertmanager", "receiver"), "is set, but not alertmanager.url: nobody can be asked what fires for it"
    if made.incidents.escalate_after and not (
        made.pagerduty and made.pagerduty.api_token and made.pagerduty.from_email
    ):
        yield ("incidents", "escalate_after"), "needs pagerduty.api_token and pagerduty.from_email to escalate anything"
    yield from flag_misfits(made.flags, list(made.services), cluster=made.kubernetes is not None)
    yield from deploy_misfits(made.deploys, made.services, runbooks, cluster=made.kubernetes is not None)
    environments = {name: one.environment for name, one in made.services.items()}
    roles, cluster = list(made.permissions.roles), made.kubernetes is not None
    yield from action_misfits(made.actions, environments, runbooks, roles, cluster=cluster)
    yield from unoffered(made.actions, runbooks)
    yield from noise_misfits(made.maintenance, {name: one.depends_on for name, one in made.services.items()})
    pager, tracker, metrics = (part is not None for part in (made.pagerduty, made.jira, made.prometheus))
    heard = any((made.alertmanager, made.grafana, made.webhooks))
    yield from catalogue_misfits(made.incidents, made.services, runbooks, pager=pager, tracker=tracker)
    yield from slo_misfits(made.slos, made.services, made.incidents, pager=pager, metrics=metrics)
    yield from runbook_misfits(made.runbooks, made.services, runbooks)
    yield from watchdog_misfits(made.watchdogs, made.services, heard=heard, pages=pager)


def desk_of(
    settings: Settings,
    runbooks: Mapping[str, Runbook],
    store: Store,
    engine: Engine,
    outside: Outside,
    **more: Any,
) -> Desk:
    """What handlers are given, as captain.yml has it; ``more`` is what it does not have."""
    return Desk(
        store=store,
        engine=engine,
        services=settings.services,
        policy=settings.incidents,
        outside=outside,
        runbooks=runbooks,
        public_url=settings.captain.public_url,
        status_secret=settings.captain.status_secret,
        command=settings.slack.command if settings.slack else "/captain",
        watchdogs=settings.watchdogs,
        heartbeat=settings.heartbeat,
        tickets=settings.jira,
        flags=settings.flags,
        actions=settings.actions,
        slos=settings.slos,
        maintenance=settings.maintenance,
        noise=settings.noise,
        deploys=settings.deploys,
        runbook_settings=settings.runbooks,
        **more,
    )

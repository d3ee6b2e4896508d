"""What every handler is given: the store, the engine, the catalogue and whom it may ask outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from bot.engine import Engine
from bot.integrations.alertmanager import Alerts
from bot.integrations.heartbeat import Heartbeat, HeartbeatSettings
from bot.integrations.jira import JiraSettings, Tracker
from bot.integrations.kubernetes import Cluster
from bot.integrations.pagerduty import Pager
from bot.integrations.prometheus import Metrics
from bot.integrations.slack import Chat
from bot.store import Store
from handlers.access import Access
from handlers.actions.kinds import Action
from handlers.catalogue import Policy, Service, Watchdog
from handlers.deploys.kinds import DeploySettings
from handlers.flags.kinds import Flag
from handlers.noise.kinds import Noise, Window
from handlers.runs.settings import RunbookSettings
from handlers.slo.kinds import Slo
from runbooks import Runbook


@dataclass(frozen=True)
class Outside:
    """The services that are configured; None where a section is missing in captain.yml."""

    chat: Chat | None = None
    pager: Pager | None = None
    tracker: Tracker | None = None
    metrics: Metrics | None = None
    alerts: Alerts | None = None
    cluster: Cluster | None = None
    heartbeat: Heartbeat | None = None


def _uncounted(_kind: str) -> None:
    """Where nobody counts."""


@dataclass(frozen=True)
class Desk:
    """Built once at start, never changed. ``public_url`` is where people reach the bot, or empty."""

    store: Store
    engine: Engine
    services: Mapping[str, Service]
    policy: Policy
    outside: Outside
    runbooks: Mapping[str, Runbook]
    public_url: str = ""
    status_secret: SecretStr | None = None
    command: str = "/captain"
    watchdogs: Mapping[str, Watchdog] = field(default_factory=dict)
    heartbeat: HeartbeatSettings | None = None
    tickets: JiraSettings | None = None
    flags: Mapping[str, Flag] = field(default_factory=dict)
    actions: Mapping[str, Action] = field(default_factory=dict)
    slos: Mapping[str, Slo] = field(default_factory=dict)
    access: Access | None = None
    maintenance: Mapping[str, Window] = field(default_factory=dict)
    noise: Noise = field(default_factory=Noise)
    deploys: DeploySettings = field(default_factory=DeploySettings)
    runbook_settings: RunbookSettings = field(default_factory=RunbookSettings)
    count_held: Callable[[str], None] = _uncounted

"""What the bot counts about itself, in Prometheus' own exposition format."""

from __future__ import annotations

import platform
from importlib import metadata

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
PROMISE = 30.0
"""Seconds within which PagerDuty shall have accepted a page; one of the buckets, and what the shipped rules look at."""
SOURCES = ("alert", "person", "watchdog")
"""Who opens incidents; known beforehand, so that the first page of a process is seen as an increase from zero."""
HELD = ("maintenance", "drill", "silence", "inhibited", "flap", "cooldown")
MISSED = ("gave_up", "ended")


class Meter:
    """The bot's metrics; one per process, made by the composition root."""

    def __init__(self) -> None:
        made = self.registry = CollectorRegistry()
        self.webhooks = Counter(
            "captain_webhooks", "Webhook deliveries by source and answer.", ["source", "status"], registry=made
        )
        self.alerts = Counter("captain_alerts", "Alerts by what became of them.", ["verdict"], registry=made)
        self.commands = Counter("captain_commands", "Commands by door and outcome.", ["door", "outcome"], registry=made)
        self.effects = Counter(
            "captain_effects", "Tries of effects by lane and state.", ["lane", "state"], registry=made
        )
        self.page_seconds = Histogram(
            "captain_page_seconds",
            "Alert received, or asked for by a person, to PagerDuty accepted.",
            ["source"],
            buckets=BUCKETS,
            registry=made,
        )
        self.pages_missed = Counter(
            "captain_pages_missed",
            f"Pages PagerDuty never accepted: given up, or the incident ended after more than {PROMISE:g} s of trying.",
            ["why"],
            registry=made,
        )
        self.held = Counter("captain_alerts_held", "Times an alert was held, by what held it.", ["kind"], registry=made)
        for kind in HELD:
            self.held.labels(kind)
        for source in SOURCES:
            self.page_seconds.labels(source)
        for why in MISSED:
            self.pages_missed.labels(why)
        self._gauges(made)

    def _gauges(self, made: CollectorRegistry) -> None:
        self.owed = Gauge("captain_effects_owed", "Effects not settled, by lane.", ["lane"], registry=made)
        self.oldest = Gauge(
            "captain_effects_oldest_seconds", "Age of the oldest unsettled effect.", ["lane"], registry=made
        )
        self.pages_unheard = Gauge(
            "captain_pages_unheard",
            "Pages PagerDuty has not accepted, of incidents nobody has taken. All replicas say the same.",
            registry=made,
        )
        self.page_oldest = Gauge(
            "captain_page_oldest_seconds", "Age of the oldest such page. All replicas say the same.", registry=made
        )
        self.undecided = Gauge(
            "captain_undecided", "Alerts and requests taken and not decided, by intake.", ["intake"], registry=made
        )
        self.watchdog_age = Gauge(
            "captain_watchdog_age_seconds",
            "Seconds since a watchdog arrived, or was armed when it never has. All replicas say the same.",
            ["watchdog"],
            registry=made,
        )
        self.watchdog_within = Gauge(
            "captain_watchdog_within_seconds", "Silence of a watchdog that pages.", ["watchdog"], registry=made
        )
        self.replicas = Gauge("captain_replicas", "Replicas that live, as this one sees it.", registry=made)
        self.database = Gauge("captain_database_up", "1 when the database answered this scrape.", registry=made)
        build = Gauge("captain_build_info", "Always 1.", ["version", "python"], registry=made)
        build.labels(metadata.version("release-captain"), platform.python_version()).set(1)
        self.actions_on = Gauge(
            "captain_actions_on", "Actions that are done and not undone, or not known to be.", registry=made
        )
        self.actions_overdue = Gauge(
            "captain_actions_overdue", "Actions that should be undone and are not known to be.", registry=made
        )
        self.flags_on = Gauge("captain_flags_on", "Flags that are on, or not known to be off.", registry=made)
        self.watches = Gauge(
            "captain_deploy_watch_up",
            "1 while the rollouts of a kind of workload in a namespace are heard of from Kubernetes.",
            ["namespace", "kind"],
            registry=made,
        )
        self.slo_burn = Gauge(
            "captain_slo_burn",
            "Times the speed that spends an SLO's budget exactly, by window, as last seen; left out while it is not known.",
            ["slo", "window"],
            registry=made,
        )
        self.slo_left = Gauge(
            "captain_slo_budget_left",
            "Share of an SLO's budget that is left, below 0 overspent; left out while it is not known.",
            ["slo"],
            registry=made,
        )
        self.slo_missing = Gauge(
            "captain_slo_missing", "1 while an SLO that the bot evaluates cannot be measured.", ["slo"], registry=made
        )
        where = ["runbook", "service", "environment"]
        self.check_outcome = Gauge(
            "captain_check_outcome",
            "Always 1: what the last run said of a check. All replicas say the same.",
            [*where, "check", "outcome"],
            registry=made,
        )
        self.run_outcome = Gauge(
            "captain_run_outcome", "Always 1: the verdict of the last run.", [*where, "outcome"], registry=made
        )
        self.run_at = Gauge(
            "captain_run_timestamp_seconds", "When the last run ended, in UNIX seconds.", where, registry=made
        )
        self.run_took = Gauge("captain_run_duration_seconds", "Seconds that the last run took.", where, registry=made)
        self.flags_overdue = Gauge(
            "captain_flags_overdue", "Flags that should be off and are not known to be.", registry=made
        )

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self.registry)

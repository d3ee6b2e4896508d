"""What the bot counts about itself, in Prometheus' own exposition format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


class Meter:
    """The bot's metrics; one per process, made by the composition root."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.webhooks = Counter(
            "captain_webhooks", "Webhook deliveries by source and answer.", ["source", "status"], registry=self.registry
        )
        self.alerts = Counter("captain_alerts", "Alerts by what became of them.", ["verdict"], registry=self.registry)
        self.commands = Counter(
            "captain_commands", "Commands by door and outcome.", ["door", "outcome"], registry=self.registry
        )
        self.effects = Counter(
            "captain_effects", "Tries of effects by lane and state.", ["lane", "state"], registry=self.registry
        )
        self.page_seconds = Histogram(
            "captain_page_seconds", "Alert received to PagerDuty accepted.", buckets=BUCKETS, registry=self.registry
        )
        self.owed = Gauge("captain_effects_owed", "Effects not settled, by lane.", ["lane"], registry=self.registry)
        self.oldest = Gauge(
            "captain_effects_oldest_seconds", "Age of the oldest unsettled effect.", ["lane"], registry=self.registry
        )
        self.flags_on = Gauge("captain_flags_on", "Flags that are on, or not known to be off.", registry=self.registry)
        self.flags_overdue = Gauge(
            "captain_flags_overdue", "Flags that should be off and are not known to be.", registry=self.registry
        )

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self.registry)

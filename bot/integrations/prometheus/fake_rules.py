"""The alerting rules of the stand-in's world, worked out whenever someone asks: a fast and a slow burn per service."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.integrations.prometheus.fake_eval import Evaluation
from bot.integrations.prometheus.fake_promql import parse
from bot.integrations.prometheus.fake_series import Source, number

_RATIO = (
    '(sum(rate(istio_requests_total{{reporter="destination",destination_workload="{service}",response_code=~"5.."}}[{w}]))'
    ' / sum(rate(istio_requests_total{{reporter="destination",destination_workload="{service}"}}[{w}])))'
)
_BUDGET = 0.001  # of a 99.9 % objective


@dataclass(frozen=True)
class Rule:
    """``burn``: fast pages, slow opens a ticket; windows and factors are those of the SRE workbook."""

    service: str
    burn: str
    factor: float
    windows: tuple[str, str]

    @property
    def name(self) -> str:
        return f"SLOBurn{self.burn.capitalize()}"

    @property
    def expr(self) -> str:
        limit = number(round(self.factor * _BUDGET, 9))
        return " and ".join(f"{_RATIO.format(service=self.service, w=w)} > {limit}" for w in self.windows)

    def labels(self) -> dict[str, str]:
        return {
            "burn": self.burn,
            "env": "prod",
            "service": self.service,
            "severity": "page" if self.burn == "fast" else "ticket",
            "slo": f"{self.service}-availability",
        }


def rules_for(services: Sequence[str]) -> list[Rule]:
    return [
        rule
        for service in services
        for rule in (Rule(service, "fast", 14.4, ("1h", "5m")), Rule(service, "slow", 6.0, ("6h", "30m")))
    ]


def iso(stamp: float) -> str:
    """RFC 3339 with milliseconds, as Prometheus writes times."""
    return datetime.fromtimestamp(stamp, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def look(rule: Rule, sources: Sequence[Source], now: float, since: dict[str, float]) -> list[dict[str, Any]]:
    """The rule's active alerts now. ``since`` remembers (service/burn -> UNIX s) when each was first seen active."""
    at, key = int(now * 1000), f"{rule.service}/{rule.burn}"
    found = Evaluation(sources, at, at, time.monotonic() + 10).at(parse(rule.expr), at)
    if not isinstance(found, list) or not found:
        since.pop(key, None)
        return []
    began = since.setdefault(key, now)
    return [
        {
            "labels": {"alertname": rule.name, **rule.labels(), **dict(labels)},
            "annotations": {"summary": f"{rule.service} burns its 99.9% budget at {value:.2%} errors ({rule.burn})"},
            "state": "firing",
            "activeAt": iso(began),
            "value": f"{value:e}",
        }
        for labels, value in found
    ]


def rule_row(rule: Rule, active: list[dict[str, Any]], now: float) -> dict[str, Any]:
    return {
        "state": "firing" if active else "inactive",
        "name": rule.name,
        "query": rule.expr,
        "duration": 0,
        "keepFiringFor": 0,
        "labels": rule.labels(),
        "annotations": {"summary": "{{ $labels.service }} burns its 99.9% budget"},
        "alerts": active,
        "health": "ok",
        "evaluationTime": 0.0002,
        "lastEvaluation": iso(now),
        "type": "alerting",
    }

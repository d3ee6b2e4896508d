"""The sandbox's pretend secrets and the captain.yml that names them, both in the data folder and for its owner's eyes only."""

from __future__ import annotations

import json
import os
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

EMAIL = "captain@example.com"
FLAGS = {"namespace": "prod", "name": "gateway-flags", "key": "bypass"}
"""Where the sandbox's one flag stands."""
OWN_RUNBOOKS = "runbooks"
"""A folder beside its captain.yml that, if it is there, holds runbooks of the reader's own."""


@dataclass(frozen=True)
class Secrets:
    """What the bot and the stand-ins both know. ``routing_keys``: PagerDuty's 32 characters → service."""

    bot_token: str
    app_token: str
    signing_secret: str
    pagerduty_token: str
    pagerduty_webhook: str
    jira_token: str
    jira_webhook: str
    alertmanager_webhook: str
    deploy_webhook: str
    api_token: str
    status_secret: str
    heartbeat: str
    routing_keys: dict[str, str]


def load_secrets(path: Path, services: Sequence[str]) -> Secrets:
    """The secrets kept in ``path``, made at random the first time; a new service gets its routing key."""
    kept: dict[str, Any] = {}
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
    keys = dict(kept.pop("routing_keys", {}))
    for service in services:
        if service not in keys.values():
            keys[secrets.token_hex(16)] = service
    fresh = {
        "bot_token": f"xoxb-{secrets.token_hex(12)}",
        "app_token": f"xapp-1-{secrets.token_hex(12)}",
        "signing_secret": secrets.token_hex(16),
        "pagerduty_token": secrets.token_urlsafe(15),
        "pagerduty_webhook": secrets.token_hex(20),
        "jira_token": secrets.token_urlsafe(18),
        "jira_webhook": secrets.token_hex(20),
        "alertmanager_webhook": secrets.token_urlsafe(24),
        "deploy_webhook": secrets.token_urlsafe(24),
        "api_token": secrets.token_urlsafe(24),
        "status_secret": secrets.token_urlsafe(24),
        "heartbeat": str(uuid.uuid4()),
    }
    made = Secrets(**(fresh | {k: v for k, v in kept.items() if k in fresh}), routing_keys=keys)
    write_private(path, json.dumps(asdict(made), indent=1))
    return made


def write_config(path: Path, held: Secrets, *, port: int, bot_port: int, services: Sequence[str]) -> None:
    """Write the captain.yml by which the bot finds the stand-ins on ``port``."""
    here = f"http://127.0.0.1:{port}"
    key_of = {service: key for key, service in held.routing_keys.items()}
    config = {
        "captain": {
            "database": f"sqlite:///{path.parent.resolve() / 'bot.db'}",
            "listen": f"127.0.0.1:{bot_port}",
            "api_token": held.api_token,
            "status_secret": held.status_secret,
            "public_url": f"http://127.0.0.1:{bot_port}",
        },
        "runbooks": {
            **({"folder": OWN_RUNBOOKS} if (path.parent / OWN_RUNBOOKS).is_dir() else {}),
            "parameters": {
                "health-endpoints": {"gateway": f"{here}/services/gateway", "docs_api": f"{here}/services/docs-api"},
                "audit-stream": {"observability": f"{here}/services"},
                "self": {"base": f"http://127.0.0.1:{bot_port}"},
            },
        },
        "slack": {
            "mode": "socket",
            "bot_token": held.bot_token,
            "app_token": held.app_token,
            "signing_secret": held.signing_secret,
            "base_url": f"{here}/slack/api/",
        },
        "pagerduty": {
            "events_url": f"{here}/pagerduty",
            "rest_url": f"{here}/pagerduty",
            "api_token": held.pagerduty_token,
            "from_email": "alice@example.com",
            "webhook_secret": held.pagerduty_webhook,
        },
        "jira": {
            "url": f"{here}/jira",
            "email": EMAIL,
            "api_token": held.jira_token,
            "webhook_secret": held.jira_webhook,
            "statuses": {"acknowledged": "3", "resolved": "10001", "reopened": "10000"},
            "priorities": {"sev1": "1", "sev2": "2", "sev3": "4"},
        },
        "prometheus": {"url": f"{here}/prometheus"},
        "alertmanager": {"url": f"{here}/alertmanager", "webhook_secret": held.alertmanager_webhook},
        "kubernetes": {"url": f"{here}/kubernetes"},
        "heartbeat": {"url": f"{here}/heartbeat/{held.heartbeat}", "withhold_after": 30},
        "services": {
            name: {
                "channel": f"#{name}",
                "environment": "prod",
                "pagerduty": key_of[name],
                "jira": "OPS",
                "runbook": name,
            }
            for name in services
        },
        "incidents": {"declare_emoji": {"rotating_light": "sev2"}, "digest": "#incidents"},
        "deploys": {
            "webhook_secret": held.deploy_webhook,
            "watch": {"namespaces": ["prod"]},
            "checks_after": 3,
        },
        "slos": {name: slo for service in services for name, slo in _slos(service).items()},
        "flags": {
            f"{name}-bypass": {
                "service": name,
                "object": {"kind": "configmap", **FLAGS},
                "on": "true",
            }
            for name in services
            if name == "gateway"
        },
    }
    config["actions"] = {name: action for service in services for name, action in _actions(service).items()}
    head = "# Written by `captain sandbox` at every start; a change made here does not last.\n"
    write_private(path, head + yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def _actions(service: str) -> dict[str, dict[str, Any]]:
    """More replicas for ten minutes, which anybody may ask for, and a restart, which Bob or Alice have to agree to."""
    workload = {"kind": "deployment", "namespace": "prod", "name": service}
    return {
        f"{service}-more": {
            "title": f"More replicas of {service}",
            "service": service,
            "parameters": {"replicas": {"default": "4", "choices": ["3", "4", "6"]}},
            "do": {"scale": workload | {"replicas": "{{ replicas }}"}},
            "undo": "restore",
            "ttl": "10m",
        },
        f"{service}-restart": {
            "title": f"Restart {service}",
            "service": service,
            "do": {"restart": workload},
            "undo": {"none": "a restart cannot be taken back"},
            "approval": {"people": ["alice@example.com", "bob@example.com"]},
            "hint": "Its pods are replaced one after the other; nothing is lost.",
        },
    }


def _slos(service: str) -> dict[str, dict[str, Any]]:
    """Two promises: the rules of the pretend Prometheus watch over one, the bot itself over the other."""
    of = f'reporter="destination",destination_workload="{service}"'
    about = {
        "service": service,
        "dashboard": f"https://grafana.sandbox/d/slo?var-service={service}",
        "runbook": f"https://runbooks.sandbox/{service}#burn",
    }
    seen = "istio_request_duration_milliseconds"
    return {
        f"{service}-availability": about
        | {
            "objective": 99.9,
            "bad": f'sum(rate(istio_requests_total{{{of},response_code=~"5.."}}[{{{{window}}}}]))',
            "total": f"sum(rate(istio_requests_total{{{of}}}[{{{{window}}}}]))",
            "by": ["response_code", "source_workload"],
            "evaluate": False,
        },
        f"{service}-latency": about
        | {
            "objective": 99,
            "good": f'sum(rate({seen}_bucket{{{of},le="500"}}[{{{{window}}}}]))',
            "total": f"sum(rate({seen}_count{{{of}}}[{{{{window}}}}]))",
        },
    }


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner alone."""
    fresh = path.with_name(path.name + ".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as f:
        f.write(text)
    fresh.replace(path)

"""What is said of a watchdog: the incident's title, what to look at, and the line of the App Home."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from bot.integrations.slack.words import escape
from handlers.catalogue import Watchdog
from handlers.desk import Desk
from handlers.incidents.words import duration
from handlers.watchdogs import table


def title(watchdog: Watchdog, name: str, *, seen: float | None, armed: float, now: float) -> str:
    """``No alert could reach me: Watchdog of mesh has not arrived for 12 min``."""
    what = f"No alert could reach me: {watchdog.alertname} of {name} has"
    if seen is None:
        return f"{what} never arrived in {_minutes(now - armed)}"
    return f"{what} not arrived for {_minutes(now - seen)}"


def what_to_do(desk: Desk, watchdog: Watchdog, name: str, *, seen: float | None) -> str:
    """The incident's description, plain text."""
    if seen is None:
        known = (
            "It has never arrived, so most likely it was never on its way: compare its rule, its route in Alertmanager "
            f"and watchdogs.{name} in captain.yml."
        )
    else:
        known = f"It last arrived at {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(seen))}."
    labels = ", ".join(f'{label}="{value}"' for label, value in sorted(watchdog.labels.items()))
    where = f"{desk.public_url.rstrip('/')}/webhooks/alertmanager" if desk.public_url else "my webhook"
    return (
        f"{watchdog.alertname}{f' ({labels})' if labels else ''} always fires, so while it is silent no other alert of "
        f"that Prometheus can be trusted to arrive either: what burns now may page nobody. {known}\n"
        "Look at, in this order: Prometheus (does it run, does it evaluate its rules?); Alertmanager (does it run, does "
        "Prometheus reach it, is there a silence?); the route and receiver of the watchdog (is repeat_interval below "
        f"half of {_minutes(watchdog.within)}?); the network and the token between Alertmanager and {where}.\n"
        "This resolves by itself when it arrives again."
    )


def home(watchdogs: Mapping[str, Watchdog], rows: Sequence[Any], *, now: float) -> str:
    """One line of mrkdwn about every watchdog."""
    found = {row.name: row for row in rows}
    parts = []
    for name in watchdogs:
        row = found.get(name)
        if row is None or row.seen_at is None:
            said = "has never arrived"
        else:
            said = f"arrived {duration(table.age(row, now))} ago"
        parts.append(f"*{escape(name)}* {said}")
    return f"Watchdogs: {' · '.join(parts)}"


def _minutes(seconds: float) -> str:
    return duration(60.0 * max(1, round(seconds / 60)))

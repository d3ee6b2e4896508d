"""What checks look with: the clients that are configured. Checks change nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network

from handlers.desk import Outside
from runbooks import Looks


def looks(outside: Outside, allow: Sequence[IPv4Network | IPv6Network] = ()) -> Looks:
    """The clients of this bot, as a check may use them.

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

"""What checks look with: the clients that are configured. Checks change nothing."""

from __future__ import annotations

from handlers.desk import Outside
from runbooks import Looks


def looks(outside: Outside) -> Looks:
    """The clients of this bot, as a check may use them."""
    return Looks(metrics=outside.metrics, cluster=outside.cluster)

"""What checks look with: the clients that are configured. Checks change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from handlers.desk import Outside
from runbooks import Looks


def looks(outside: Outside, allow: Sequence[str] = ()) -> Looks:
    """The clients that checks look with, of those that are configured.

    ``allow``: addresses and networks that may be looked at although they are link-local or a cloud's metadata. Raises
    ValueError for one that is neither.
    """
    return Looks(metrics=outside.metrics, cluster=outside.cluster, allow=tuple(ip_network(one) for one in allow))

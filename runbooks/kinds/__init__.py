"""The kinds of check, one file each: a kind looks with what it is given, changes nothing, and says what it saw.

A kind is its file and its line below. It never raises what an SDK raises, never waits longer than it was told, and
never turns "nothing there" or "could not look" into a pass.
"""

from __future__ import annotations

from collections.abc import Mapping

from runbooks.kind import Kind
from runbooks.kinds import command, dns, http, kubernetes, promql, reachable, spiffe, sql, tcp, tls

KINDS: Mapping[str, Kind] = {
    "http": http.KIND,
    "tcp": tcp.KIND,
    "dns": dns.KIND,
    "tls": tls.KIND,
    "promql": promql.KIND,
    "kubernetes": kubernetes.KIND,
    "spiffe": spiffe.KIND,
    "sql": sql.KIND,
    "reachable": reachable.KIND,
    "command": command.KIND,
}

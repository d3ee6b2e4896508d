"""What every kind of check owes its reader: a word on each field, and what is asked."""

from __future__ import annotations

import pytest

from runbooks import KINDS

ASKED = {
    "http": ({"url": "https://docs.example/healthz"}, "GET https://docs.example/healthz"),
    "tcp": ({"host": "docs.example", "port": 443.0}, "docs.example:443"),
    "tls": ({"host": "10.0.0.1", "server_name": "docs.example"}, "10.0.0.1:443 as docs.example"),
    "dns": ({"host": "docs.example", "type": "SRV", "resolver": "10.0.0.10"}, "SRV docs.example @10.0.0.10"),
    "promql": ({"expr": "sum(\n  up)"}, "sum( up)"),
    "sql": ({"database": "env:URL", "query": "SELECT 1\n FROM x"}, "SELECT 1 FROM x"),
    "reachable": ({"system": "slack"}, "ping slack"),
    "kubernetes": (
        {"resource": "pod", "selector": "app=docs", "namespace": "prod", "field": "status.phase", "equals": "Running"},
        "pods -l app=docs -n prod: status.phase",
    ),
}


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"command"}))
def test_every_field_says_what_it_means(kind):
    assert [name for name, field in KINDS[kind].fields.items() if not field.about] == []


@pytest.mark.parametrize("kind", ASKED)
def test_a_kind_says_what_it_asks(kind):
    spec, said = ASKED[kind]
    assert KINDS[kind].asks(spec) == said


def test_an_identity_says_its_query():
    asked = KINDS["spiffe"].asks({"destination": "docs-api", "source": "gateway", "over": "5m"})
    assert asked.startswith("sum by (source_principal,destination_principal,")
    assert 'reporter="destination",source_workload="gateway",destination_workload="docs-api"}[5m]' in asked

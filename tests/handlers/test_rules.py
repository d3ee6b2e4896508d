"""The rules of incidents: keys, states, severities."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from handlers.incidents import rules
from handlers.incidents.rules import Severity

labels = st.fixed_dictionaries({"alertname": st.text(min_size=1)}, optional={"slo": st.text(min_size=1)})


@given(labels, st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_another_environment_or_service_is_another_incident(some, service, one, two):
    a = rules.incident_key(some, service=service, environment=one)
    b = rules.incident_key(some, service=service, environment=two)
    c = rules.incident_key(some, service=one, environment=service)
    assert (a == b) == (one == two)
    assert (a == c) == (one == service)


@given(st.text(min_size=1, max_size=5000), st.text(min_size=1, max_size=5000))
def test_a_key_is_short_and_still_tells_long_names_apart(one, two):
    keys = [rules.incident_key({"alertname": name}, service="s", environment="prod") for name in (one, two)]
    assert max(map(len, keys)) < 600
    assert (keys[0] == keys[1]) == (one == two)


def test_the_fast_and_the_slow_burn_of_one_slo_are_one_incident():
    fast, slow = ({"alertname": f"SLOBurn{kind}", "slo": "availability"} for kind in ("Fast", "Slow"))
    assert rules.incident_key(fast, service="s", environment="e") == rules.incident_key(
        slow, service="s", environment="e"
    )


def test_only_the_least_severity_wakes_nobody():
    assert [s.pages for s in sorted(Severity, key=lambda s: s.rank)] == [True, True, False]

"""The rules of incidents: severities."""

from __future__ import annotations

from handlers.incidents.rules import Severity


def test_only_the_least_severity_wakes_nobody():
    assert [s.pages for s in sorted(Severity, key=lambda s: s.rank)] == [True, True, False]

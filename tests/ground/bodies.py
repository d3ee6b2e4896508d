"""Bodies as real services send them, for tests that hear them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).resolve().parent.parent / "data"


@pytest.fixture
def alertmanager_body() -> Callable[[str], dict[str, Any]]:
    """``alertmanager_body("firing-single")``: a webhook body of a real Alertmanager, yours to change.

    Names: firing-single (one fast burn), resolved (one slow burn that ended), group-of-60 (alerts A0 to A59).
    """
    return lambda name: json.loads((DATA / "alertmanager" / f"{name}.json").read_text())


@pytest.fixture
def grafana_body() -> Callable[[str], dict[str, Any]]:
    """``grafana_body("firing")``: a body in the shape of Grafana 12's webhook contact point, yours to change.

    Names: firing and resolved (one burn), missing-series (its end for want of a series), no-data and error (of its rule).
    """
    return lambda name: json.loads((DATA / "grafana" / f"{name}.json").read_text())


@pytest.fixture
def slack_payloads() -> Callable[[str], list[dict[str, Any]]]:
    """``slack_payloads("slash_commands")``: the payloads of that kind in the order they were sent.

    Kinds: slash_commands, interactive (two button presses), events_api.
    """
    envelopes = json.loads((DATA / "slack" / "envelopes.json").read_text())
    return lambda kind: [envelope["payload"] for envelope in envelopes if envelope["kind"] == kind]

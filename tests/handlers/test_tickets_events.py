"""Whatever Jira or a proxy sends, it is taken as it can be stored everywhere, or refused with a sentence."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest

from handlers.alerts.payload import BadPayload
from handlers.tickets import events, rules

CHANGE = {"field": "status", "from": "1", "to": "3", "fromString": "To Do", "toString": "In Progress"}
EVENT: dict[str, Any] = {
    "webhookEvent": "jira:issue_updated",
    "timestamp": 1_790_000_000_000,
    "issue": {"id": "10001", "key": "OPS-1", "fields": {"labels": ["captain-1"]}},
    "user": {"accountId": "5b10", "displayName": "Bob"},
    "changelog": {"id": "7", "items": [CHANGE]},
}
COMMENT: dict[str, Any] = {
    "webhookEvent": "comment_created",
    "timestamp": 1_790_000_000_000,
    "issue": {"id": "10001", "key": "OPS-1"},
    "comment": {
        "id": "5",
        "author": {"displayName": "Bob"},
        "body": "on it",
        "updated": "2026-11-26T04:00:00.000+0000",
    },
}


@pytest.mark.parametrize(
    "odd",
    [
        {"timestamp": 10**400},
        {"timestamp": math.nan},
        {"timestamp": math.inf},
        {"changelog": {"id": math.inf, "items": []}},
        {"changelog": {"id": math.nan, "items": []}},
        {"changelog": {"id": "7", "items": [None]}},
        {"changelog": ["7"]},
        {"issue": {"id": "1" * 5000}},
        {"issue": "OPS-1"},
        {"issue": None},
        {"user": "bob"},
    ],
)
def test_what_is_no_webhook_of_jira_is_refused_with_a_sentence(odd):
    with pytest.raises(BadPayload, match="is not a Jira webhook"):
        events.read(json.dumps(EVENT | odd).encode())


@pytest.mark.parametrize("odd", [{"updated": "0001-01-01T00:00:00"}, {"id": "5" * 5000}, {"updated": "yesterday"}])
def test_so_is_an_odd_comment(odd):
    with pytest.raises(BadPayload, match="is not a Jira webhook"):
        events.read(json.dumps(COMMENT | {"comment": COMMENT["comment"] | odd}).encode())


def test_what_no_database_takes_is_replaced_and_not_refused():
    broken = "a\0b\ud83dc"
    event = EVENT | {
        "user": {"displayName": broken},
        "changelog": {"id": "7", "items": [CHANGE | {"toString": broken}]},
    }
    kept = events.read(json.dumps(event).encode())
    comment = COMMENT | {"comment": COMMENT["comment"] | {"body": broken}}
    said = events.read(json.dumps(comment).encode())
    for text in (kept["name"], kept["items"][0]["to_text"], said["text"]):
        assert text == "a\ufffdb?c"
        text.encode()


def test_a_summary_ends_as_jira_keeps_it():
    """Jira takes the blanks off its end; one that ends with them is taken for a person's later on."""
    row = SimpleNamespace(severity="sev2", service="docs-api", title="x" * 237 + " and more", number=1)
    made = rules.summary(row, open_=True)
    assert len(made) <= 255
    assert made == made.strip()

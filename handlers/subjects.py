"""The subjects: one line each. A new subject is its file or folder and its line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.effects import LaneRule
from bot.grammar import Verb
from handlers.incidents import commands as incident_commands

SUBJECTS: Mapping[str, Mapping[str, Verb]] = {
    "incident": incident_commands.VERBS,
}


def lanes() -> list[LaneRule]:
    """The outside services' lanes: none of them can delay another. The page's pauses stay short: somebody must be woken."""
    return [
        LaneRule("pagerduty", workers=16, first=0.25, cap=20.0, patience_h=72.0),
        LaneRule("slack", workers=4, cap=60.0),
        LaneRule("replies", workers=4, cap=15.0, patience_h=0.5),
        LaneRule("jira", workers=4, cap=120.0, patience_h=72.0),
        LaneRule("checks", workers=4, cap=60.0, patience_h=1.0),
    ]


TICKS: Sequence[tuple[str, str]] = (("purge", "17 3 * * *"),)
"""What the clock does: (name, cron line in UTC)."""

"""The subjects: one line each. A new subject is its file or folder and its line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bot.effects import LaneRule, Performer
from bot.grammar import Verb
from handlers.desk import Desk
from handlers.flags import care as flag_care
from handlers.flags import commands as flag_commands
from handlers.flags import effects as flag_effects
from handlers.incidents import commands as incident_commands
from handlers.incidents import effects as incident_effects

SUBJECTS: Mapping[str, Mapping[str, Verb]] = {
    "incident": incident_commands.VERBS,
    "flag": flag_commands.VERBS,
}

PERFORMERS: Sequence[Callable[[Desk], list[Performer]]] = (incident_effects.performers, flag_effects.performers)
"""What each subject knows to do outside."""


@dataclass(frozen=True)
class Tick:
    """Something the clock asks for: ``line`` is a cron line in UTC; ``run(desk, slot)`` gets the UNIX s it stands for."""

    name: str
    line: str
    run: Callable[[Desk, float], None]


TICKS: Sequence[Tick] = (Tick("flags", flag_care.LINE, flag_care.tick),)
"""What the subjects do by the clock; each slot is done once, however many replicas hear it."""


def lanes() -> list[LaneRule]:
    """The outside services' lanes: none of them can delay another. The page's pauses stay short: somebody must be woken."""
    return [
        LaneRule("pagerduty", workers=16, first=0.25, cap=20.0, patience_h=72.0),
        LaneRule("slack", workers=4, cap=60.0),
        LaneRule("replies", workers=4, cap=15.0, patience_h=0.5),
        LaneRule("jira", workers=4, cap=120.0, patience_h=72.0),
        # An undo is owed for ever, as nearly as an engine can: what is switched on is switched off again.
        LaneRule("kubernetes", workers=4, first=0.5, cap=60.0, patience_h=720.0),
        LaneRule("checks", workers=4, cap=60.0, patience_h=1.0),
    ]

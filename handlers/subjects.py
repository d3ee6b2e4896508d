"""The subjects: one line each. A new subject is its file or folder and its line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from bot.effects import Performer
from bot.grammar import Verb
from bot.lanes import LaneRule
from handlers import heartbeat
from handlers.actions import care as action_care
from handlers.actions import commands as action_commands
from handlers.actions import effects as action_effects
from handlers.actions import moves as action_moves
from handlers.buckets import EDITS, LOOKS
from handlers.deploys import after as deploy_after
from handlers.deploys import commands as deploy_commands
from handlers.deploys import effects as deploy_effects
from handlers.desk import Desk
from handlers.digest import effects as digest_effects
from handlers.digest import sweep as digest_sweep
from handlers.flags import care as flag_care
from handlers.flags import commands as flag_commands
from handlers.flags import effects as flag_effects
from handlers.home import turns
from handlers.incidents import commands as incident_commands
from handlers.incidents import declare, freeze, learned, pager, postmortem, reconcile, update_form
from handlers.incidents import effects as incident_effects
from handlers.noise import again as noise_again
from handlers.noise import commands as noise_commands
from handlers.noise import effects as noise_effects
from handlers.noise import outside as noise_outside
from handlers.noise import thread as noise_thread
from handlers.oncall import commands as oncall_commands
from handlers.rooms import commands as room_commands
from handlers.rooms import effects as room_effects
from handlers.runs import commands as run_commands
from handlers.runs import effects as run_effects
from handlers.runs import owing as run_owing
from handlers.runs import schedule as run_schedule
from handlers.slo import commands as slo_commands
from handlers.slo import look as slo_look
from handlers.slo import meaning as slo_meaning
from handlers.status import commands as status_commands
from handlers.storms import commands as storm_commands
from handlers.storms import look as storm_look
from handlers.tickets import effects as ticket_effects
from handlers.tickets import hear as ticket_hear
from handlers.timeline import commands as timeline_commands
from handlers.timeline import declared, marks, sweep
from handlers.watchdogs.look import look
from handlers.why import commands as why_commands

SUBJECTS: Mapping[str, Mapping[str, Verb]] = {
    "incident": {
        **incident_commands.VERBS,
        **timeline_commands.VERBS,
        **room_commands.VERBS,
        **noise_thread.VERBS,
        **storm_commands.VERBS,
        **run_commands.OF_INCIDENTS,
    },
    "runbook": run_commands.VERBS,
    "flag": flag_commands.VERBS,
    "deploy": deploy_commands.VERBS,
    "action": action_commands.VERBS,
    "maintenance": noise_commands.VERBS,
    "why": why_commands.VERBS,
    "oncall": oncall_commands.VERBS,
    "slo": slo_commands.VERBS,
    "status": status_commands.VERBS,
}

PERFORMERS: Sequence[Callable[[Desk], list[Performer]]] = (
    incident_effects.performers,
    declare.performers,
    update_form.performers,
    digest_effects.performers,
    turns.performers,
    learned.performers,
    postmortem.performers,
    pager.performers,
    ticket_effects.performers,
    ticket_hear.performers,
    reconcile.performers,
    storm_look.performers,
    freeze.performers,
    slo_look.performers,
    slo_meaning.performers,
    slo_commands.performers,
    room_effects.performers,
    run_effects.performers,
    flag_effects.performers,
    deploy_effects.performers,
    action_effects.performers,
    noise_effects.performers,
    noise_again.performers,
    noise_outside.performers,
    marks.performers,
    declared.performers,
    sweep.performers,
    timeline_commands.performers,
    heartbeat.performers,
)
"""What each subject knows to do outside."""


@dataclass(frozen=True)
class Tick:
    """Something the clock asks for: ``line`` is a cron line in UTC; ``run(desk, slot)`` gets the UNIX s it stands for.

    ``wanted``: whether captain.yml asks for it at all; the clock says nothing otherwise. ``decides``: says whether
    there is anything it would decide about alerts; it goes by the engine's clock and asks nobody, so a replay does it too.
    """

    name: str
    line: str
    run: Callable[[Desk, float], None]
    wanted: Callable[[Desk], bool] = lambda _desk: True
    decides: Callable[[Connection], bool] | None = None


TICKS: Sequence[Tick] = (
    Tick("watchdogs", "* * * * *", look, lambda desk: bool(desk.watchdogs)),
    Tick("heartbeat", "* * * * *", heartbeat.beat, lambda desk: desk.heartbeat is not None),
    Tick("digest", digest_sweep.LINE, digest_sweep.tick, lambda desk: bool(desk.policy.digest)),
    Tick("storms", storm_look.LINE, storm_look.tick, decides=storm_look.busy),
    Tick("reconcile", "*/3 * * * *", reconcile.tick),
    Tick("slo", slo_look.LINE, slo_look.tick),
    Tick("deploys", deploy_after.LINE, deploy_after.tick),
    Tick("runs", run_schedule.LINE, run_schedule.tick, lambda desk: bool(desk.runbook_settings.schedules)),
    Tick("flags", flag_care.LINE, flag_care.tick),
    Tick("actions", action_care.LINE, action_care.tick),
    Tick("noise", noise_again.LINE, noise_again.tick, decides=noise_again.busy),
    Tick("marks", sweep.LINE, sweep.tick, lambda desk: desk.outside.chat is not None),
)
"""What the subjects do by the clock; each slot is done once, however many replicas hear it."""


def lanes(*, slack_pace: float = 1.0) -> list[LaneRule]:
    """The outside services' lanes: none of them can delay another. The page's pauses stay short: somebody must be woken.

    ``slack_pace``: seconds between messages in one channel, and between edits, and looks at messages, in the workspace.
    """
    return [
        LaneRule("pagerduty", workers=16, first=0.25, cap=20.0, patience_h=72.0, probe=3.0, title="PagerDuty"),
        LaneRule("slack", workers=4, cap=60.0, paces=dict.fromkeys(("post", EDITS, LOOKS), slack_pace), title="Slack"),
        LaneRule("replies", workers=4, cap=15.0, patience_h=0.5, trips=0),
        LaneRule("jira", workers=4, cap=120.0, patience_h=72.0, probe=10.0, title="Jira"),
        # An undo is owed for ever, as nearly as an engine can: what is switched on is switched off again.
        LaneRule("kubernetes", workers=4, first=0.5, cap=60.0, patience_h=720.0, probe=10.0, title="Kubernetes"),
        # Commands and calls of actions; what undoes them has a lane of its own, for no long deed may hold it up.
        LaneRule(action_moves.CALLS, workers=4, first=0.5, cap=60.0, patience_h=72.0, trips=0),
        LaneRule(action_moves.UNDOS, workers=4, first=0.5, cap=60.0, patience_h=720.0, trips=0),
        LaneRule("checks", workers=4, cap=60.0, patience_h=1.0, trips=0),
        LaneRule(run_owing.LANE, workers=run_owing.WORKERS, cap=60.0, patience_h=1.0, trips=0),
        LaneRule("reconcile", workers=1, cap=30.0, patience_h=0.05, trips=0),
        LaneRule(slo_look.LANE, workers=1, cap=30.0, patience_h=0.05, trips=0),
        LaneRule("reminders", workers=1, trips=0),
        LaneRule("alertmanager", workers=2, first=0.5, cap=60.0, title="Alertmanager"),
        # Ends of silences, and what is decided anew at them: whoever must be paged is paged, however late.
        LaneRule("noise", workers=2, first=0.5, cap=30.0, patience_h=720.0, trips=0),
        # What a Home tab waits for; half a minute later its person has looked elsewhere.
        LaneRule("looks", workers=2, cap=8.0, patience_h=0.01, trips=0),
        LaneRule("heartbeat", workers=2, first=2.0, cap=15.0, patience_h=0.5),
    ]

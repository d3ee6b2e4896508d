"""Which transition a ticket takes next: pure, given where it stands and what its workflow offers there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bot.integrations.jira import Goal

ENDS = ("done", "fixed", "resolved", "closed", "complete", "completed")
"""What an end is called that means it was dealt with, and not that it never will be."""


def reached(goal: Goal, status: Mapping[str, Any]) -> bool:
    """True when a ticket in that status needs no move. One that somebody has ended their own way stays ended."""
    category = status["statusCategory"]["key"]
    if category == "done" and (goal.category == "done" or not goal.wakes):
        return True
    return status["id"] in goal.ids if goal.ids else bool(category == goal.category)


def leads(goal: Goal, transition: Mapping[str, Any]) -> bool:
    """True when the transition ends at the goal."""
    to = transition["to"]
    category = to["statusCategory"]["key"]
    if category == "done" and goal.category != "done":
        return False
    return to["id"] in goal.ids if goal.ids else bool(category == goal.category)


def step(goal: Goal, offered: Sequence[Mapping[str, Any]], seen: Collection[str]) -> Mapping[str, Any] | None:
    """The transition to take next: straight to the goal, else through an open status not seen yet; None when there is none.

    Never through a done status: on the way to an open one that would tell everybody it is over, on the way to another
    done one it would end it in a way that nobody asked for. On the way to named statuses only named ones are passed.
    """
    usable = [one for one in offered if not unfillable(one)]
    straight = [one for one in usable if leads(goal, one)]
    if straight:
        return min(straight, key=lambda one: _rank(goal, one))
    onward = [one for one in usable if one["to"]["statusCategory"]["key"] != "done" and one["to"]["id"] not in seen]
    if goal.ids:
        onward = [one for one in onward if one["to"]["id"] in goal.through]
    onward.sort(key=lambda one: one["to"]["statusCategory"]["key"] != "indeterminate")
    return onward[0] if onward else None


def _rank(goal: Goal, transition: Mapping[str, Any]) -> int:
    """The better end first: as configured, else by what it is called."""
    to = transition["to"]
    if goal.ids:
        return list(goal.ids).index(to["id"])
    return 0 if goal.category != "done" or str(to["name"]).lower() in ENDS else 1


def _required(transition: Mapping[str, Any]) -> dict[str, Any]:
    fields = transition.get("fields") or {}
    return {n: f for n, f in fields.items() if f.get("required") and not f.get("hasDefaultValue")}


def unfillable(transition: Mapping[str, Any]) -> list[str]:
    """The required fields of a transition that we cannot answer for a person."""
    return [n for n, f in _required(transition).items() if n != "resolution" or not f.get("allowedValues")]


def filled(transition: Mapping[str, Any], goal: Goal) -> dict[str, Any]:
    """The resolution its screen wants: the configured one, else Done or Fixed where it insists on any, else the first.

    Raises KeyError with what there is when the configured one is not among them.
    """
    on_screen = (transition.get("fields") or {}).get("resolution") or {}
    allowed = on_screen.get("allowedValues") or []
    if goal.resolution and goal.category == "done" and allowed:
        wanted = [
            one for one in allowed if goal.resolution.lower() in (str(one["id"]), str(one.get("name", "")).lower())
        ]
        if not wanted:
            raise KeyError(", ".join(f"{one.get('name', '')} ({one['id']})" for one in allowed))
        return {"resolution": {"id": wanted[0]["id"]}}
    if "resolution" not in _required(transition):
        return {}
    best = [one for one in allowed if str(one.get("name", "")).lower() in ENDS]
    return {"resolution": {"id": (best or allowed)[0]["id"]}}


def no_way(key: str, status: str, goal: Goal, offered: Sequence[Mapping[str, Any]]) -> str:
    """Why it cannot be moved, and what to do."""
    told = []
    for one in offered:
        wants = unfillable(one)
        where = f" to {one['to']['name']} ({one['to']['id']})" if goal.ids else ""
        told.append(f"{one['name']}{where}" + (f" (needs {', '.join(wants)})" if wants else ""))
    target = f"status {' or '.join(goal.ids)}" if goal.ids else f"a {goal.category} status"
    hint = "; or name the statuses between under jira.through" if goal.ids else ""
    return (
        f"{key} cannot be moved from {status} to {target}: its workflow offers {', '.join(told) or 'nothing'}; "
        f"move it by hand, or let the bot's account use that transition{hint}."
    )

"""The one decision of noise control, as a pure function: does an alert act now, or is it held, by what, and until when."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from handlers.noise.matchers import Matcher, all_match

LOOK_AGAIN = 300.0
"""Seconds after which what stands behind a parent is weighed anew whatever happens: the parent may have become less."""


class Kind(StrEnum):
    """What can hold an alert; the words of ``alerts.held``."""

    MAINTENANCE = "maintenance"
    DRILL = "drill"
    SILENCE = "silence"
    INHIBITED = "inhibited"
    FLAP = "flap"
    COOLDOWN = "cooldown"


@dataclass(frozen=True)
class Incoming:
    """An alert that would open, reopen or raise an incident at ``at`` (UNIX s); it fires since ``since``, as far as we know.

    ``labels``: its own, with ``service`` and ``env`` as we understand them. ``rank``: 1 is worst. ``pages``: acting on it
    wakes somebody. ``sent``: its labels as they came.
    """

    labels: Mapping[str, str]
    service: str
    environment: str
    key: str
    rank: int
    pages: bool
    at: float
    since: float
    sent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Quiet:
    """A maintenance window, a silence or a drill's silence that is on. ``until``: UNIX s; ``length``: seconds it was made for.

    ``services``: only alerts of these, none means all. ``key``: only the incident of this key, empty means any.
    ``rank``: the worst severity it holds; what is worse than that acts.
    """

    id: int
    kind: Kind
    name: str
    until: float
    length: float
    by: str
    reason: str = ""
    services: Sequence[str] = ()
    matchers: Sequence[Matcher] = ()
    key: str = ""
    rank: int = 1

    def over(self, now: float) -> bool:
        """True when its time is over. A clock that was set back makes it no longer than it was made for."""
        return now >= self.until

    def holds(self, one: Incoming) -> bool:
        return (
            not self.over(one.at)
            and (not self.services or one.service in self.services)
            and (not self.key or one.key == self.key)
            and one.rank >= self.rank
            # What a thread has silenced is told apart by its key, and by the labels that Alertmanager sees.
            and all_match(self.matchers, one.sent if self.key else one.labels)
        )


@dataclass(frozen=True)
class Held:
    """Why an alert does not act. ``until``: UNIX s at which that ends, as far as it is known; None when it is not.

    ``quiet``: the id of the silence or window. ``incident``: the one it stands behind.
    """

    kind: Kind
    sentence: str
    until: float | None
    quiet: int | None = None
    incident: int | None = None


@dataclass(frozen=True)
class Past:
    """The last incident of the alert's key, which is over. ``rank``: how bad it was. ``ended_at``: UNIX s."""

    number: int
    rank: int
    ended_at: float


@dataclass(frozen=True)
class Parent:
    """An open incident that may hold others. ``labels``: see ``kinds.Inhibit``; ``pages``: it wakes somebody."""

    number: int
    key: str
    labels: Mapping[str, str]
    rank: int
    pages: bool


@dataclass(frozen=True)
class Rule:
    """What inhibits what. ``depends``: the rule is that the one service depends on the other."""

    source: Sequence[Matcher]
    target: Sequence[Matcher]
    equal: Sequence[str] = ()
    depends: bool = False


@dataclass(frozen=True)
class Known:
    """What is known when an alert is weighed. ``cooldown``: seconds, 0 for none.

    ``steady``: seconds that an alert of a key that flaps has to fire to be acted on; 0 when it does not flap.
    """

    quiets: Sequence[Quiet] = ()
    parents: Sequence[Parent] = ()
    rules: Sequence[Rule] = ()
    past: Past | None = None
    cooldown: float = 0.0
    steady: float = 0.0


def weigh(one: Incoming, known: Known) -> Held | None:
    """What holds the alert; None when it acts.

    People's reasons come first, then the parent's, then what the key has been through. Whichever is named, the alert is
    weighed anew when that one ends, so that what another reason still holds stays held, and what none holds acts.
    """
    return (
        _quiet(one, known.quiets)
        or _behind(one, known)
        or _flapping(one, known.past, known.steady)
        or _cooling(one, known.past, known.cooldown)
    )


def _flapping(one: Incoming, past: Past | None, steady: float) -> Held | None:
    """Held until it has fired for a while, when its key has come and gone too often, unless it is worse than before."""
    until = one.since + steady
    if past is None or one.rank < past.rank or not one.since <= one.at < until:
        return None
    sentence = f"held, pages nobody: INC-{past.number} came and went too often; it is acted on when it fires until {clock(until)}"
    return Held(Kind.FLAP, sentence, until, incident=past.number)


def _behind(one: Incoming, known: Known) -> Held | None:
    """Held by an open incident, when that is as bad and has woken somebody if this would."""
    for rule in known.rules:
        if not all_match(rule.target, one.labels):
            continue
        for parent in known.parents:
            stands = parent.key != one.key and parent.rank <= one.rank and (parent.pages or not one.pages)
            same = all(one.labels.get(name, "") == parent.labels.get(name, "") for name in rule.equal)
            if stands and same and all_match(rule.source, parent.labels):
                name = f"INC-{parent.number} of {parent.labels['service']}"
                why = f"which {one.service} depends on" if rule.depends else "which noise.inhibit puts before it"
                sentence = f"held, pages nobody: {name} is open, {why}"
                return Held(Kind.INHIBITED, sentence, one.at + LOOK_AGAIN, incident=parent.number)
    return None


def _cooling(one: Incoming, past: Past | None, cooldown: float) -> Held | None:
    """Held for a while after the end of the last incident of its key, unless it is worse than that was."""
    if past is None or one.rank < past.rank:
        return None
    until = past.ended_at + cooldown
    if not past.ended_at <= one.at < until:
        return None
    sentence = f"held, pages nobody: INC-{past.number} ended at {clock(past.ended_at)}, and noise.cooldown lasts until {clock(until)}"
    return Held(Kind.COOLDOWN, sentence, until, incident=past.number)


def _quiet(one: Incoming, quiets: Iterable[Quiet]) -> Held | None:
    found = [quiet for quiet in quiets if quiet.holds(one)]
    if not found:
        return None
    last = max(found, key=lambda quiet: (quiet.until, quiet.id))
    return Held(last.kind, f"held, pages nobody: {said(last)}", last.until, quiet=last.id)


def said(quiet: Quiet) -> str:
    """``maintenance nightly is on until 2026-11-26 04:00 UTC, by alice (reindexing)``."""
    reason = f" ({quiet.reason[:120]})" if quiet.reason else ""
    what = {
        Kind.MAINTENANCE: f"maintenance {quiet.name} is on",
        Kind.DRILL: f"a drill of {quiet.name} is on",
    }.get(quiet.kind, f"{quiet.name} is silenced")
    return f"{what} until {clock(quiet.until)}, by {quiet.by}{reason}"


def clock(at: float) -> str:
    """``2026-11-26 04:00 UTC``, with seconds where there are some."""
    then = time.gmtime(at)
    return time.strftime("%Y-%m-%d %H:%M:%S UTC" if then.tm_sec else "%Y-%m-%d %H:%M UTC", then)

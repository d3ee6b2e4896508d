"""The rules of flags as pure functions: the states, the mark on the object, when it may be switched on, how it goes back."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

LONGEST_VALUE = 1000
"""Characters of a value that is kept and put back; what is longer is no flag."""
DURATION = re.compile(r"(?:(\d{1,3})h)?(?:(\d{1,5})m(?:in)?)?(?:(\d{1,7})s)?", re.IGNORECASE)


class Status(StrEnum):
    """Where a switching-on stands."""

    ASKED = "asked"  # nothing has been touched: what is there now is still to be read
    TURNING_ON = "turning_on"  # its undo is owed, so it may be switched on
    ON = "on"
    TURNING_OFF = "turning_off"  # its undo is due, and tried until it works
    OFF = "off"
    NOT_APPLIED = "not_applied"  # it never was on


OVER = (Status.OFF, Status.NOT_APPLIED)


class Event(StrEnum):
    """What can happen to a switching-on."""

    LOOKED = "looked"  # what is there now has been read, and it may be switched on
    APPLIED = "applied"  # the cluster has it on
    REFUSED = "refused"  # it was not switched on: refused, impossible or too late
    EXTENDED = "extended"  # a person wants it for longer
    END = "end"  # its time is over, or a person says so
    UNDONE = "undone"  # the cluster has it off
    NEVER_ON = "never_on"  # the cluster has it off, and had it all along
    GAVE_UP = "gave_up"  # the engine has lost its patience with an undo
    SEEN_ON = "seen_on"  # it is over, and yet the object carries our mark


class Do(StrEnum):
    """What follows from a move, in the transaction that makes it."""

    NOTHING = "nothing"
    ARM = "arm"  # owe an undo for the end, and the apply
    REARM = "rearm"  # the same for another end, in place of those that were owed
    UNDO_NOW = "undo_now"  # begin no apply any more, and hasten the undo
    UNDO_AGAIN = "undo_again"  # owe another undo
    FORGET = "forget"  # nothing was owed but the look


NEXT: Mapping[tuple[Status, Event], tuple[Status, Do]] = {
    (Status.ASKED, Event.LOOKED): (Status.TURNING_ON, Do.ARM),
    (Status.ASKED, Event.EXTENDED): (Status.ASKED, Do.NOTHING),
    (Status.ASKED, Event.REFUSED): (Status.NOT_APPLIED, Do.NOTHING),
    (Status.ASKED, Event.END): (Status.NOT_APPLIED, Do.FORGET),
    (Status.TURNING_ON, Event.APPLIED): (Status.ON, Do.NOTHING),
    (Status.TURNING_ON, Event.EXTENDED): (Status.TURNING_ON, Do.REARM),
    # A refusal may have been preceded by a call that acted and was not heard of: only the undo makes sure.
    (Status.TURNING_ON, Event.REFUSED): (Status.TURNING_OFF, Do.UNDO_NOW),
    (Status.TURNING_ON, Event.END): (Status.TURNING_OFF, Do.UNDO_NOW),
    (Status.TURNING_ON, Event.GAVE_UP): (Status.TURNING_OFF, Do.UNDO_AGAIN),
    (Status.ON, Event.EXTENDED): (Status.ON, Do.REARM),
    (Status.ON, Event.END): (Status.TURNING_OFF, Do.UNDO_NOW),
    (Status.ON, Event.GAVE_UP): (Status.TURNING_OFF, Do.UNDO_AGAIN),
    (Status.TURNING_OFF, Event.END): (Status.TURNING_OFF, Do.UNDO_NOW),
    (Status.TURNING_OFF, Event.UNDONE): (Status.OFF, Do.NOTHING),
    (Status.TURNING_OFF, Event.NEVER_ON): (Status.NOT_APPLIED, Do.NOTHING),
    (Status.TURNING_OFF, Event.GAVE_UP): (Status.TURNING_OFF, Do.UNDO_AGAIN),
    (Status.OFF, Event.SEEN_ON): (Status.TURNING_OFF, Do.UNDO_AGAIN),
    (Status.NOT_APPLIED, Event.SEEN_ON): (Status.TURNING_OFF, Do.UNDO_AGAIN),
}
"""Every move there is; a pair that is not here changes nothing."""


def after(status: Status, event: Event) -> tuple[Status, Do] | None:
    """Where an event leads and what follows from it, or None when it does not apply."""
    return NEXT.get((status, event))


# ---- what an object says of a flag -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mark:
    """Our annotation on the object: whose switching-on it is, until when, what comes back, and who asked.

    It goes on with the value in one request and off with it in one request. ``back`` None: the field was not there.
    ``until`` UNIX s. A mark with ``over`` fences: it stands for a moment, and only to give the object a new version.
    """

    uid: str
    until: float
    back: str | None
    by: str
    over: bool = False

    def text(self) -> str:
        """As it stands in the annotation."""
        until = dt.datetime.fromtimestamp(int(self.until), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        told: dict[str, object] = {"uid": self.uid, "until": until, "back": self.back, "by": self.by}
        return json.dumps(told | ({"over": True} if self.over else {}), ensure_ascii=False)


def read_mark(text: str | None) -> Mark | None:
    """The mark in an annotation; None when there is none, or none that could be ours."""
    try:
        told = json.loads(text or "")
        until = dt.datetime.fromisoformat(told["until"]).timestamp()
        back = told["back"]
        if not isinstance(back, str | None):
            return None
        return Mark(str(told["uid"]), until, back, str(told["by"]), bool(told.get("over")))
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


@dataclass(frozen=True)
class Seen:
    """What an object says of a flag. ``value`` None: the field is not there.

    ``held``: the flag's own field manager owns the field, so the last who set it were we. ``rivals``: other managers that
    own it too, which they do only when they asked for the very same value.
    """

    there: bool = False
    value: str | None = None
    mark: Mark | None = None
    held: bool = False
    rivals: tuple[str, ...] = ()
    uid: str = ""
    version: str = ""
    taken: str = ""
    """Which other flag or action stands in the same field just now; whatever ended last would put back what the other set."""

    def ours(self, uid: str, on: str) -> bool:
        """True when it is this switching-on that the object shows, with or without the value we set.

        Where somebody has removed the mark alone, the ownership of the field still tells.
        """
        if self.mark is not None and not self.mark.over:
            return self.mark.uid == uid
        return self.held and self.value == on


def unfit(seen: Seen, *, on: str, where: str) -> str:
    """Why a flag cannot be switched on as the object stands; empty when it can."""
    if not seen.there:
        return f"{where} does not exist; create it first"
    if seen.mark is not None and not seen.mark.over:
        until = dt.datetime.fromtimestamp(seen.mark.until, dt.UTC).strftime("%H:%M:%S UTC")
        return f"{where} carries the mark of a switching-on by {seen.mark.by} until {until}; try again when it is off"
    if seen.taken:
        return f"{where} is set by {seen.taken}; try again when that is over"
    if seen.value == on:
        return f"it is '{on}' in {where} already, and not by me: nothing was changed"
    if seen.value is not None and len(seen.value) > LONGEST_VALUE:
        return f"its value in {where} has {len(seen.value)} characters: that is no flag, and nothing was changed"
    return ""


class Change(StrEnum):
    """What an apply has to do."""

    WRITE = "write"
    NOTHING = "nothing"  # an earlier try has done it
    LEAVE = "leave"  # somebody has changed it since we looked: people win


def to_switch_on(seen: Seen, mark: Mark, *, on: str, prior: str | None, was_on: bool) -> Change:
    """What an apply has to do as the object stands; ``prior`` is what the look found, ``was_on`` that it was on once."""
    if not seen.there:
        return Change.LEAVE
    if seen.mark is not None and seen.mark.uid == mark.uid and not seen.mark.over:
        if seen.value != on:
            return Change.LEAVE
        return Change.NOTHING if seen.mark.text() == mark.text() else Change.WRITE
    if was_on or seen.value != prior or (seen.mark is not None and not seen.mark.over):
        return Change.LEAVE
    return Change.WRITE


class Way(StrEnum):
    """How an object goes back."""

    RESTORE = "restore"  # it shows what we set: the old value comes back and the mark goes
    LEAVE = "leave"  # somebody has changed it, or asks for the same value: only the mark goes
    FENCE = "fence"  # we have not switched it on; a request on its way must not do so later
    NOTHING = "nothing"  # it is gone, or it shows another switching-on


def way_back(seen: Seen, uid: str, *, on: str) -> Way:
    """How an object goes back after the switching-on ``uid``.

    Every way but NOTHING writes the object, and so gives it a new version: a request of ours that was sent before and
    comes late names the old one, and is refused.
    """
    if not seen.there:
        return Way.NOTHING
    if seen.ours(uid, on):
        return Way.RESTORE if seen.value == on and not seen.rivals else Way.LEAVE
    return Way.FENCE if seen.mark is None or seen.mark.over else Way.NOTHING


# ---- time --------------------------------------------------------------------------------------------------------------


def seconds_of(text: str) -> float | None:
    """Seconds of a duration such as "30m", "1h30m" or "90s"; None when it is none."""
    match = DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def margin(timeout: float) -> float:
    """Seconds before the undo after which no apply is sent, where one call takes ``timeout`` to connect and to answer."""
    return 2 * timeout + 1

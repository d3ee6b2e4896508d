"""The rules of actions as pure functions: the states, the seal of what is asked for, and who may approve it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Where a request stands."""

    ASKED = "asked"  # nothing has been touched: what is there now is still to be read
    WAITING = "waiting"  # for a second person
    CHECKING = "checking"  # it may be done as soon as the checks before it pass
    TURNING_ON = "turning_on"  # its undo is owed, if there is one, so it may be done
    ON = "on"  # done, and it can be undone
    TURNING_OFF = "turning_off"  # its undo is due, and tried until it works
    OFF = "off"  # undone
    DONE = "done"  # done for good: there is no undo
    NOT_APPLIED = "not_applied"  # it never was done
    REFUSED = "refused"  # by the second person
    EXPIRED = "expired"  # no second person in time
    FAILED = "failed"  # it failed or may have happened, and there is no undo


OVER = (Status.OFF, Status.DONE, Status.NOT_APPLIED, Status.REFUSED, Status.EXPIRED, Status.FAILED)
BEFORE = (Status.ASKED, Status.WAITING, Status.CHECKING)
"""Nothing has been done, and nothing owed that does it."""


class Event(StrEnum):
    """What can happen to a request."""

    LOOKED = "looked"  # what would change is known, and a second person has to agree
    FREE = "free"  # what would change is known, and nobody has to agree
    APPROVED = "approved"
    DECLINED = "declined"
    LAPSED = "lapsed"  # nobody agreed in time
    CHECKED = "checked"  # the checks before it pass
    NO = "no"  # it is impossible, not wanted any more, or the checks before it do not pass: nothing has been done
    APPLIED = "applied"  # it is done
    FAILED = "failed"  # it failed, came too late, or nobody heard what became of it
    END = "end"  # its time is over, a person says so, or the check after it did not pass
    UNDONE = "undone"
    NEVER_ON = "never_on"  # there was nothing to undo
    GAVE_UP = "gave_up"  # the engine has lost its patience with an undo
    SEEN_ON = "seen_on"  # it is over, and yet the object carries our mark
    BY_HAND = "by_hand"  # a person says that they have undone it themselves


class Do(StrEnum):
    """What follows from a move, in the transaction that makes it."""

    NOTHING = "nothing"
    ASK = "ask"  # owe the end of the time in which somebody may agree
    CHECK = "check"  # owe the checks before it
    ARM = "arm"  # owe the undo, if there is one for a time, and the deed
    AFTER = "after"  # owe the checks after it
    UNDO_NOW = "undo_now"  # begin the deed no more, and undo at once
    UNDO_AGAIN = "undo_again"  # owe another undo
    FORGET = "forget"  # begin nothing any more


Move = tuple[Status, Do]
NEXT: Mapping[tuple[Status, Event], Move] = {
    (Status.ASKED, Event.LOOKED): (Status.WAITING, Do.ASK),
    (Status.ASKED, Event.FREE): (Status.CHECKING, Do.CHECK),
    (Status.ASKED, Event.NO): (Status.NOT_APPLIED, Do.FORGET),
    (Status.ASKED, Event.END): (Status.NOT_APPLIED, Do.FORGET),
    (Status.WAITING, Event.APPROVED): (Status.CHECKING, Do.CHECK),
    (Status.WAITING, Event.DECLINED): (Status.REFUSED, Do.FORGET),
    (Status.WAITING, Event.LAPSED): (Status.EXPIRED, Do.FORGET),
    (Status.WAITING, Event.NO): (Status.NOT_APPLIED, Do.FORGET),
    (Status.WAITING, Event.END): (Status.NOT_APPLIED, Do.FORGET),
    (Status.CHECKING, Event.CHECKED): (Status.TURNING_ON, Do.ARM),
    (Status.CHECKING, Event.NO): (Status.NOT_APPLIED, Do.FORGET),
    (Status.CHECKING, Event.END): (Status.NOT_APPLIED, Do.FORGET),
    (Status.TURNING_ON, Event.APPLIED): (Status.ON, Do.AFTER),
    # A failure may have been preceded by a call that acted and was not heard of: only the undo makes sure.
    (Status.TURNING_ON, Event.FAILED): (Status.TURNING_OFF, Do.UNDO_NOW),
    (Status.TURNING_ON, Event.END): (Status.TURNING_OFF, Do.UNDO_NOW),
    (Status.TURNING_ON, Event.GAVE_UP): (Status.TURNING_OFF, Do.UNDO_AGAIN),
    (Status.ON, Event.END): (Status.TURNING_OFF, Do.UNDO_NOW),
    (Status.ON, Event.GAVE_UP): (Status.TURNING_OFF, Do.UNDO_AGAIN),
    (Status.ON, Event.BY_HAND): (Status.OFF, Do.FORGET),
    (Status.TURNING_OFF, Event.END): (Status.TURNING_OFF, Do.UNDO_NOW),
    (Status.TURNING_OFF, Event.UNDONE): (Status.OFF, Do.NOTHING),
    (Status.TURNING_OFF, Event.NEVER_ON): (Status.NOT_APPLIED, Do.NOTHING),
    (Status.TURNING_OFF, Event.GAVE_UP): (Status.TURNING_OFF, Do.UNDO_AGAIN),
    (Status.TURNING_OFF, Event.BY_HAND): (Status.OFF, Do.FORGET),
    (Status.OFF, Event.SEEN_ON): (Status.TURNING_OFF, Do.UNDO_AGAIN),
    (Status.NOT_APPLIED, Event.SEEN_ON): (Status.TURNING_OFF, Do.UNDO_AGAIN),
}
"""Every move there is of what can be undone; a pair that is not here changes nothing."""
FOR_GOOD: Mapping[tuple[Status, Event], Move] = {
    pair: move for pair, move in NEXT.items() if pair[0] in BEFORE
} | {
    (Status.TURNING_ON, Event.APPLIED): (Status.DONE, Do.AFTER),
    (Status.TURNING_ON, Event.FAILED): (Status.FAILED, Do.FORGET),
    (Status.TURNING_ON, Event.NO): (Status.NOT_APPLIED, Do.FORGET),
}  # fmt: skip
"""The same of what has no undo: from its doing on there is no way back, so nothing leads to one."""


def after(status: Status, event: Event, *, undoable: bool) -> Move | None:
    """Where an event leads and what follows from it, or None when it does not apply."""
    return (NEXT if undoable else FOR_GOOD).get((status, event))


# ---- the seal ----------------------------------------------------------------------------------------------------------


def seal(action: str, parameters: Mapping[str, str], plan: str, prior: str, diff: str) -> str:
    """The hash of exactly what is asked for, as hexadecimal digits; an approval is worth nothing for any other.

    ``plan``: JSON of what is done and undone and for how long; ``prior``: JSON of what was there; ``diff``: what changes.
    """
    text = json.dumps([action, dict(sorted(parameters.items())), plan, prior, diff], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def canonical(value: Any) -> str:
    """JSON that is the same for the same value."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


# ---- two people --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Person:
    """Somebody, as a door proves them: the door's own id, and an e-mail address or nothing."""

    id: str
    email: str = ""


def same(one: Person, other: Person) -> bool | None:
    """Whether two are one; None when that cannot be told: they came through different doors and one has no address."""
    if one.id == other.id:
        return True
    if one.email and other.email:
        return one.email.lower() == other.email.lower()
    return False if one.id.startswith("cli:") == other.id.startswith("cli:") else None

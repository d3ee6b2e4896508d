"""The rules of incidents as pure functions: severities, states, who may follow whom, and their names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum


class Severity(StrEnum):
    """How bad. sev1 and sev2 page; sev3 makes a ticket."""

    SEV1 = "sev1"
    SEV2 = "sev2"
    SEV3 = "sev3"

    @property
    def pages(self) -> bool:
        return self is not Severity.SEV3

    @property
    def rank(self) -> int:
        """1 is worst; also the urgency of its effects."""
        return int(self.value[-1])


class Status(StrEnum):
    """Where an incident stands."""

    TRIGGERED = "triggered"  # open, nobody has taken it
    ACKNOWLEDGED = "acknowledged"  # a person works on it
    MITIGATED = "mitigated"  # nobody is hurt any more; its cause is still there
    RESOLVED = "resolved"  # over
    CLOSED = "closed"  # and what was to be done afterwards is done

    @property
    def open(self) -> bool:
        """True until it is resolved: somebody is on it, or should be."""
        return self in (Status.TRIGGERED, Status.ACKNOWLEDGED, Status.MITIGATED)


class Deed(StrEnum):
    """What can be done to an incident."""

    ACKNOWLEDGE = "acknowledge"
    MITIGATE = "mitigate"
    RESOLVE = "resolve"
    CLOSE = "close"
    REOPEN = "reopen"


NEXT: Mapping[tuple[Status, Deed], Status] = {
    (Status.TRIGGERED, Deed.ACKNOWLEDGE): Status.ACKNOWLEDGED,
    (Status.TRIGGERED, Deed.MITIGATE): Status.MITIGATED,
    (Status.TRIGGERED, Deed.RESOLVE): Status.RESOLVED,
    (Status.ACKNOWLEDGED, Deed.MITIGATE): Status.MITIGATED,
    (Status.ACKNOWLEDGED, Deed.RESOLVE): Status.RESOLVED,
    # The mitigation did not hold: whoever had it has it still.
    (Status.MITIGATED, Deed.REOPEN): Status.ACKNOWLEDGED,
    (Status.MITIGATED, Deed.RESOLVE): Status.RESOLVED,
    (Status.RESOLVED, Deed.CLOSE): Status.CLOSED,
    # It was over, and nobody has it any more: somebody has to take it anew.
    (Status.RESOLVED, Deed.REOPEN): Status.TRIGGERED,
    (Status.CLOSED, Deed.REOPEN): Status.TRIGGERED,
}
"""Every move there is; a pair that is not here changes nothing."""


def after(status: Status, deed: Deed) -> Status | None:
    """The status a deed leads to, or None when it does not apply (a stale button, a second press)."""
    return NEXT.get((status, deed))


def possible(status: Status) -> tuple[Deed, ...]:
    """The deeds that apply to a status, in the order of an incident's life."""
    return tuple(deed for deed in Deed if after(status, deed) is not None)


class Reminder(StrEnum):
    """What somebody is reminded to do."""

    ACKNOWLEDGE = "acknowledge"
    UPDATE = "update"
    CLOSE = "close"


def reminder_of(status: Status) -> Reminder | None:
    """What is to be done next in a status; None when nothing is."""
    if status is Status.TRIGGERED:
        return Reminder.ACKNOWLEDGE
    if status.open:
        return Reminder.UPDATE
    return Reminder.CLOSE if status is Status.RESOLVED else None


def is_back(resolved_at: float | None, fired_at: float, *, within: float) -> bool:
    """True when what was resolved and fires again is the same incident: ``within`` seconds, none at 0. UNIX s."""
    return resolved_at is not None and within > 0 and fired_at - resolved_at <= within


def incident_uid(*parts: str) -> str:
    """Our name for one occurrence, the same in every replica and after a restore: it keys page, ticket and message."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

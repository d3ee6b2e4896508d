"""The one decision of noise control, as a pure function: does an alert act now, or is it held, by what, and until when."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from handlers.noise.matchers import Matcher, all_match


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
    """An alert that would open, reopen or raise an incident at ``at`` (UNIX s).

    ``labels``: its own, with ``service`` and ``env`` as we understand them. ``rank``: 1 is worst. ``pages``: acting on it
    wakes somebody.
    """

    labels: Mapping[str, str]
    service: str
    environment: str
    key: str
    rank: int
    pages: bool
    at: float


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
            and all_match(self.matchers, one.labels)
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
class Known:
    """What is known when an alert is weighed."""

    quiets: Sequence[Quiet] = field(default=())


def weigh(one: Incoming, known: Known) -> Held | None:
    """What holds the alert; None when it acts. Of several reasons the one that ends last, for then it is weighed anew."""
    return _quiet(one, known.quiets)


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

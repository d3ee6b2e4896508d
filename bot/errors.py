"""What can go wrong, said as what happens next.

    Problem
    ├── Retry      the call may work later: the engine tries again after ``after`` seconds
    ├── GiveUp     the call will never work as asked: the effect is parked, shown, and can be repaired
    │   └── NotConfigured   because a setting is missing
    └── Refused    a person asked for something that cannot be done: the sentence is said to them alone

Only the engine interprets ``Retry`` and ``GiveUp``. ``Refused`` is caught at the doors (Slack, web, CLI).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any


class Problem(Exception):
    """The root of every error this project raises on purpose; its text is a sentence for a person."""


class Retry(Problem):
    """The outside did not do it, or may have done it; try again.

    ``after``: seconds the outside asked us to wait (Retry-After), or None for the engine's own backoff.
    ``unknown``: True when the call may have acted (a timeout, a connection lost after sending); the next try looks first.
    ``limited``: True when it was asked too often (429): whatever shares its rate limit waits too.
    """

    def __init__(
        self, reason: str, *, after: float | None = None, unknown: bool = False, limited: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after
        self.unknown = unknown
        self.limited = limited


def in_time(by: float | None) -> None:
    """Refuse to send what was promised to leave by ``by`` (monotonic s; None: any time). Raises Retry.

    A process may stand still between the promise and the sending; by then another may be doing it.
    """
    if by is not None and time.monotonic() > by:
        raise Retry("this process stood still just before it asked, so it did not ask; it looks again first", after=1.0)


class GiveUp(Problem):
    """Trying again cannot help until a person changes something; ``reason`` says what."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotConfigured(GiveUp):
    """A setting that the call needs is not in captain.yml; ``reason`` names it."""


class Refused(Problem):
    """Said to the person who asked: what is wrong and what to do instead; ``blocks`` say the same to Slack, with buttons."""

    def __init__(self, why: str, blocks: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(why)
        self.blocks = blocks


class ConfigError(Problem):
    """A mistake in captain.yml or the environment; the text carries file, line, what is wrong and the nearest valid name."""

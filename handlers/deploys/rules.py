"""What tellings of deploys come to: which belong together, which of two statuses counts, and what a version is called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from handlers.deploys.kinds import FINAL, Status

SAME_S = 3600.0
"""Seconds in which two tellings of one version by different tellers are one deploy."""
NEAR_S = 300.0
"""Seconds after its end in which a telling that cannot be compared with a deploy still belongs to it."""
AHEAD_S = 60.0
"""Seconds by which a teller's clock may be ahead of ours before its time is not believed."""
LATE_S = 6 * 3600.0
"""Seconds after which a deploy is only remembered: nobody is told of it, and nothing is checked for it."""
CLUSTER = "kubernetes"
SHA = re.compile(r"[0-9a-f]{7,64}")
DIGEST = re.compile(r"sha256:([0-9a-f]{12,64})")
PARTS = re.compile(r"[^0-9a-z]+")


def believed(at: float | None, now: float) -> float:
    """When it happened, UNIX s: as it is told, but never in a time to come. ``at`` None: it is not told."""
    return now if at is None or at > now + AHEAD_S else min(at, now)


def tag_of(image: str) -> str:
    """The version that an image names: its tag, else the first twelve characters of its digest, else nothing."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if tag:
        return tag
    found = DIGEST.fullmatch(digest)
    return found[1][:12] if found else ""


def same(mine: Iterable[str], yours: Iterable[str]) -> bool | None:
    """Whether two sets of names of versions are of one; None when they cannot be compared, as a tag and a commit."""
    one, other = _names(mine), _names(yours)
    if any(_alike(a, b) for a in one for b in other):
        return True
    kinds = {bool(SHA.fullmatch(name)) for name in one} & {bool(SHA.fullmatch(name)) for name in other}
    return False if kinds else None


def _names(given: Iterable[str]) -> set[str]:
    names = set()
    for text in given:
        small = text.strip().lower()
        digest = DIGEST.search(small)
        tag = tag_of(small) if "/" in small or "@" in small else small
        names |= {digest[1] if digest else "", tag.removeprefix("v") if tag[1:2].isdigit() else tag}
    return names - {""}


def _alike(a: str, b: str) -> bool:
    """``main-3f2c1ab`` is built from the commit ``3f2c1ab90…``."""
    if a == b:
        return True
    for short, long in ((a, b), (b, a)):
        if SHA.fullmatch(long) and any(SHA.fullmatch(part) and long.startswith(part) for part in PARTS.split(short)):
            return True
    return False


def belongs(row: Any, names: Sequence[str], now: float) -> bool:
    """Whether a telling under another key and by another teller is of this deploy. ``names``: of its version."""
    alike = same((row.version, row.image, row.revision), names)
    if alike is not None:
        return alike and bool(now - row.told_at <= SAME_S)
    if row.status == Status.STARTED.value:
        return bool(now - row.told_at <= SAME_S)
    ended = float(row.ended_at or row.told_at)
    return row.status != Status.REPLACED.value and now - ended <= NEAR_S


def done_since(row: Any, names: Sequence[str], at: float) -> bool:
    """Whether this deploy was of another version and done before a telling (UNIX s): what is older is not meant by that."""
    other = same((row.version, row.image, row.revision), names) is False
    return other and row.status == Status.SUCCEEDED.value and bool(row.ended_at is not None and row.ended_at < at)


def counts(old: str, old_at: float, new: str, new_at: float) -> bool:
    """Whether a status that is told now takes the place of the one known, in whatever order the two arrive.

    A beginning never takes the place of an end. Of two ends the later counts.
    """
    before, after = Status(old), Status(new)
    if before is after:
        return False
    if before is Status.STARTED:
        return after in FINAL
    return after in FINAL and new_at >= old_at


def overtaken(last: Any, at: float) -> bool:
    """Whether the deploy that was done last was done after this time (UNIX s): what is told of then is old news."""
    return last is not None and last.ended_at is not None and bool(last.ended_at > at)


def overall(parts: Sequence[tuple[str, str]]) -> Status:
    """Where a deploy stands of which each teller says (source, status).

    A failure counts whoever tells it. Otherwise the cluster knows best, where it is heard: CI is done when it has asked for
    the rollout, or goes on with other things when that is over.
    """
    known = [(source, Status(status)) for source, status in parts]
    if any(status is Status.FAILED for _, status in known):
        return Status.FAILED
    cluster = [status for source, status in known if source == CLUSTER]
    asked = cluster or [status for _, status in known]
    if Status.STARTED in asked:
        return Status.STARTED
    return Status.REPLACED if Status.REPLACED in asked else Status.SUCCEEDED

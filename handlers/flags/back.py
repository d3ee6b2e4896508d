"""How an object goes back: the requests for each way, for a flag and for whatever else stands in fields of an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bot.errors import Retry
from bot.integrations.kubernetes import Cluster, ObjectRef
from handlers.flags.rules import Mark, Seen, Way

PAUSE = 0.5
"""Seconds that an undo waits at least after a refusal."""


class Place(Protocol):
    """Fields of one object that are set for a while: how to look at them, and what to apply."""

    @property
    def ref(self) -> ObjectRef: ...

    @property
    def target(self) -> object:
        """What it is called to people."""
        ...

    @property
    def on(self) -> str:
        """What they hold while it is on."""
        ...

    @property
    def part(self) -> str:
        """Its own field manager."""
        ...

    def seen(self, found: Mapping[str, Any] | None) -> Seen: ...

    def body(self, seen: Seen, value: str | None, mark: Mark | None = None) -> dict[str, Any]: ...

    def kept(self, seen: Seen) -> str | None: ...


def go_back(cluster: Cluster, place: Place, seen: Seen, way: Way, mark: Mark | None) -> None:
    """Carry out a way back. ``mark``: as it was put on, with what comes back; only for RESTORE and FENCE.

    Raises Retry or GiveUp as the cluster does, and Retry when the value stands there still.
    """
    if way is Way.RESTORE and mark is not None:
        _restore(cluster, place, seen, mark)
    elif way is Way.LEAVE:
        cluster.apply(place.ref, place.body(seen, place.kept(seen)), part=place.part)
    elif way is Way.FENCE and mark is not None:
        # An apply of ours may be on its way still. It names the version it has seen, so a new version refuses it.
        over = Mark(mark.uid, mark.until, None, mark.by, over=True)
        fenced = cluster.apply(place.ref, place.body(seen, place.kept(seen), over), part=place.part)
        cluster.apply(place.ref, place.body(place.seen(fenced), place.kept(seen)), part=place.part)


def _restore(cluster: Cluster, place: Place, seen: Seen, mark: Mark) -> None:
    """The old value and no mark, in one request. Without force: who took the field since then keeps it."""
    if not seen.held:
        # Somebody has wiped out who owns what, and an apply takes away only what its manager owns.
        seen = place.seen(cluster.apply(place.ref, place.body(seen, place.on, mark), force=True, part=place.part))
    after = place.seen(cluster.apply(place.ref, place.body(seen, mark.back), part=place.part))
    if after.value == place.on:
        raise Retry(f"{place.target} still has '{place.on}' after it was put back", after=PAUSE)

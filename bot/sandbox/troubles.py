"""Troubles of the world that shipped runbooks look for: each can be made, and be as if it had never been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.errors import Refused

if TYPE_CHECKING:
    from bot.sandbox.world import World

LONG = 1800.0
"""Seconds a trouble has gone on for when it is made, so that rates over minutes show it at once."""


@dataclass(frozen=True)
class Trouble:
    """``runbook`` and ``check``: what says FAIL because of it; without a check the whole runbook has NO_DATA.

    How it is made: ``path`` are rates of docs-api, ``around`` fields of the surroundings, for ``ago`` seconds already;
    ``unwell`` is a service, ``unseen`` a group nobody scrapes, ``silent`` ends the audit events.
    """

    about: str
    runbook: str
    check: str = ""
    path: Mapping[str, Any] = field(default_factory=dict)
    around: Mapping[str, Any] = field(default_factory=dict)
    ago: float = LONG
    unwell: str = ""
    unseen: str = ""
    silent: bool = False

    def begin(self, world: World) -> None:
        """Make it."""
        prometheus, plant = world.prometheus, world.plant
        if self.path:
            prometheus.set_world("docs-api", ago=self.ago, **self.path)
        if self.around:
            prometheus.set_around(ago=self.ago, **self.around)
        if self.unseen and prometheus.around is not None:
            prometheus.set_around(ago=self.ago, dark=(*prometheus.around.now().dark, self.unseen))
        if self.unwell:
            plant.set_down(self.unwell)
        if self.silent:
            plant.set_silent(plant.clock() - self.ago)

    def end(self, world: World) -> None:
        """Have it never been."""
        if self.path:
            world.prometheus.never("docs-api", *self.path)
        if self.around or self.unseen:
            world.prometheus.calm_around(*self.around, *(["dark"] if self.unseen else []))
        if self.unwell:
            world.plant.set_down(self.unwell, down=False)
        if self.silent:
            world.plant.set_silent(None)


_PATH, _SEED = "gateway-docs-api", "preview-seeding"

TROUBLES: Mapping[str, Trouble] = {
    "gateway-unwell": Trouble("gateway's health says 503", "health-endpoints", "gateway answers", unwell="gateway"),
    "docs-api-unwell": Trouble("docs-api's health says 503", "health-endpoints", "docs-api answers", unwell="docs-api"),
    "audit-silent": Trouble(
        "audit events stopped half an hour ago",
        "audit-stream",
        "last event is young",
        around={"audited": False},
        silent=True,
    ),
    "plaintext": Trouble(
        "calls reach docs-api in the clear", _PATH, "whom STRICT would shut out", path={"plaintext": 2.0}
    ),
    "strange-identity": Trouble("calls come under another identity", _PATH, "identities", path={"stranger": 1.0}),
    "handshakes-fail": Trouble(
        "gateway's handshakes with docs-api fail", _PATH, "handshake failures", path={"unanswered": 3.0}
    ),
    "agent-down": Trouble("one node's SPIRE agent is down", "spire", "an agent on every node", around={"agents": 2}),
    "svids-stale": Trouble(
        "agents cannot renew their SVIDs", "spire", "renewals that failed", around={"renewing": False}
    ),
    "ca-ending": Trouble("SPIRE's CA ends in an hour", "spire", "CA lives on", around={"ca_hours": 1.0}),
    "cache-cold": Trouble("the cache is cold", "cache", "hit ratio", around={"cache_hits": 0.4}),
    "cache-full": Trouble("the cache evicts", "cache", "evictions", around={"evictions": 80.0}),
    "cache-slow": Trouble("the cache is slow", "cache", "latency", around={"cache_ms": 25.0}),
    "seeding-stuck": Trouble("a seed job does not end", _SEED, "seeding completed", around={"seeding": "stuck"}),
    "seeding-failed": Trouble("a seed job failed", _SEED, "seeding did not fail", around={"seeding": "failed"}),
    "unmasked": Trouble("a preview holds unmasked rows", _SEED, "nothing unmasked", around={"unmasked": 4.0}),
    "lease-over": Trouble(
        "a preview outlives its lease", _SEED, "no lease has run out", around={"overdue": True}, ago=4 * 86_400.0
    ),
    "rules-fail": Trouble("a rule cannot be evaluated", "prometheus", "rule failures", around={"rule_failures": 0.03}),
    "clock-off": Trouble("a node's clock is off", "prometheus", "clocks agree", around={"clock_off": 4.0}),
    "not-delivered": Trouble(
        "Alertmanager cannot deliver", "alertmanager", "notifications failing", around={"undelivered": 0.5}
    ),
    "not-loaded": Trouble(
        "a configuration was not loaded", "alertmanager", "configuration loaded", around={"loaded": False}
    ),
    "spire-unseen": Trouble("nobody scrapes SPIRE", "spire", unseen="spire"),
    "cache-unseen": Trouble("nobody scrapes the cache", "cache", unseen="cache"),
}


def begin(world: World, name: str) -> None:
    """Make a trouble; raises Refused for one there is not."""
    trouble = _known(name)
    trouble.begin(world)
    world.troubles.add(name)
    world.touch()


def end(world: World, names: Sequence[str] = ()) -> None:
    """Have these troubles (all without names) be as if they had never been."""
    for name in names or sorted(world.troubles):
        _known(name).end(world)
        world.troubles.discard(name)
    # What two troubles share comes back for the one that goes on.
    for name in sorted(world.troubles):
        TROUBLES[name].begin(world)
    world.touch()


def rows(world: World) -> list[dict[str, Any]]:
    """``[{"name", "about", "runbook", "on"}]``, as the page shows them."""
    return [
        {"name": name, "about": one.about, "runbook": one.runbook, "on": name in world.troubles}
        for name, one in TROUBLES.items()
    ]


def _known(name: str) -> Trouble:
    if name not in TROUBLES:
        raise Refused(f"There is no trouble '{name}'; there are {', '.join(TROUBLES)}.")
    return TROUBLES[name]

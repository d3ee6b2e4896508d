"""Incidents that live by themselves while chaos rages: each follows a plan and is at some point of it when the bot dies."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos.invariants import Seen
from chaos.load import Load, Opening
from chaos.stage import wait


@dataclass
class Lives:
    """Plans of incidents on one stage. ``stop`` lets each come to its end soon. Safe to use from any thread."""

    load: Load
    rng: random.Random
    stop: threading.Event = field(default_factory=threading.Event)

    def live(self) -> None:
        """One incident from its first alert to wherever its plan leads."""
        plan = self.rng.choices(
            [self.steady, self.flap, self.raised, self.again, self.by_hand], weights=[6, 2, 2, 2, 1]
        )[0]
        plan()

    def steady(self) -> None:
        """It burns, is mostly taken by somebody, another alert may join, and mostly it ends."""
        one = self.load.new(severity=self.rng.choice(["page", "critical", "ticket"]))
        self.load.fire(one)
        self._until(lambda seen: one.token in seen.roots)
        if self.rng.random() < 0.6 and not self._acknowledge(one):
            return
        if self.rng.random() < 0.3:
            self.load.fire(one, name="SLOBurnSlow", severity="ticket")
        self._until(lambda seen: self._out(one, seen))
        if self.rng.random() < 0.8 and self._is_out(one):
            self.load.resolve(one)

    def flap(self) -> None:
        """It ends at once: nobody must be left paged, and nothing left open."""
        one = self.load.new()
        one.fickle = True
        self.load.fire(one)
        self._pause(0.0, 0.3)
        self.load.resolve(one)

    def raised(self) -> None:
        """A ticket that becomes a page: it pages once, whoever has taken it before."""
        one = self.load.new(severity="ticket")
        self.load.fire(one)
        self._until(lambda seen: one.token in seen.roots)
        self.load.fire(one, severity="page")
        self._until(lambda seen: self._out(one, seen))
        if self._is_out(one):
            self.load.resolve(one)

    def again(self) -> None:
        """It ends and starts anew: a new page, a new ticket, a new thread."""
        one = self.load.new()
        self.load.fire(one)
        self._until(lambda seen: self._out(one, seen))
        if not self._is_out(one):
            return
        self.load.resolve(one)
        self._until(lambda seen: all(page.status == "resolved" for page in seen.pages.get(one.token, ())))
        if all(page.status == "resolved" for page in self.load.stage.look().pages.get(one.token, ())):
            self.load.fire(self.load.new(one.service, slo=one.slo))

    def by_hand(self) -> None:
        """A person opens it, and a person ends it."""
        one = self.load.new()
        self.load.open(one)
        self._until(lambda seen: self._out(one, seen))
        if self._is_out(one):
            self.load.end(one)

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _acknowledge(self, one: Opening) -> bool:
        """By one of the doors, once there is a root message to read the number from. False when it is not to end yet.

        Slack's doors answer before the deed is done: an end that overtakes it would make it void.
        """
        if one.token not in self.load.stage.look().roots:
            return False
        door = self.rng.choice(["cli", "slash", "press"])
        if door == "cli":
            self.load.acknowledge(one)
            return True
        self.load.acknowledge_in_slack(one, press=door == "press")
        self._until(lambda seen: self._is_acknowledged(one, seen))
        return self._is_acknowledged(one, self.load.stage.look()) or not one.acked

    @staticmethod
    def _is_acknowledged(one: Opening, seen: Seen) -> bool:
        return any("Acknowledged" in text for root in seen.roots[one.token] for _, text in root.notes)

    def _out(self, one: Opening, seen: Seen) -> bool:
        """True when everybody has been told of it."""
        return one.token in seen.tickets and one.token in seen.roots and (one.token in seen.pages or not one.paged)

    def _is_out(self, one: Opening) -> bool:
        return self._out(one, self.load.stage.look())

    def _until(self, condition: Callable[[Seen], bool]) -> None:
        """Wait for the outside, but no longer than chaos rages."""
        wait(lambda: self.stop.is_set() or condition(self.load.stage.look()), 60.0, every=0.2)

    def _pause(self, least: float, most: float) -> None:
        self.stop.wait(self.rng.uniform(least, most))

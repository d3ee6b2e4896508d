"""Incidents that live by themselves while chaos rages: each follows a plan and is at some point of it when the bot dies."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos.invariants import Seen, about, missing
from chaos.load import Load, Opening, Switching
from chaos.stage import wait


@dataclass
class Lives:
    """Plans of incidents on one stage. ``stop`` lets each come to its end soon. Safe to use from any thread."""

    load: Load
    rng: random.Random
    stop: threading.Event = field(default_factory=threading.Event)

    def live(self) -> None:
        """One incident from its first alert to wherever its plan leads, until all the outside knows of it."""
        plans = [self.steady, self.flap, self.raised, self.again, self.by_hand, self.switched]
        plan = self.rng.choices(plans, weights=[6, 2, 2, 2, 1, 3])[0]
        for one in plan():
            # Slack is slow by contract: who opens more than it takes measures its queue alone.
            self._until(lambda seen, one=one: not missing(about(one.owed(), seen)))

    def steady(self) -> list[Opening]:
        """It burns, is mostly taken by somebody, another alert may join, and mostly it ends."""
        one = self.load.new(severity=self.rng.choice(["page", "critical", "ticket"]))
        self.load.fire(one)
        self._until(lambda seen: one.token in seen.roots)
        if self.rng.random() < 0.6 and not self._acknowledge(one):
            return [one]
        if self.rng.random() < 0.3:
            self.load.fire(one, name="SLOBurnSlow", severity="ticket")
        self._until(lambda seen: self._out(one, seen))
        if self.rng.random() < 0.8 and self._is_out(one):
            self.load.resolve(one)
        return [one]

    def flap(self) -> list[Opening]:
        """It ends at once: nobody must be left paged, and nothing left open."""
        one = self.load.new()
        one.fickle = True
        self.load.fire(one)
        self.stop.wait(self.rng.uniform(0.0, 0.3))
        self.load.resolve(one)
        return [one]

    def raised(self) -> list[Opening]:
        """A ticket that becomes a page: it pages once, whoever has taken it before."""
        one = self.load.new(severity="ticket")
        self.load.fire(one)
        self._until(lambda seen: one.token in seen.roots)
        self.load.fire(one, severity="page")
        self._until(lambda seen: self._out(one, seen))
        if self._is_out(one):
            self.load.resolve(one)
        return [one]

    def again(self) -> list[Opening]:
        """It ends and starts anew: a new page, a new ticket, a new thread."""
        one = self.load.new()
        self.load.fire(one)
        self._until(lambda seen: self._out(one, seen))
        if not self._is_out(one):
            return [one]
        self.load.resolve(one)
        self._until(lambda seen: self._ended(one, seen))
        if not self._ended(one, self.load.stage.look()):
            return [one]
        anew = self.load.new(one.service, slo=one.slo)
        self.load.fire(anew)
        return [one, anew]

    def by_hand(self) -> list[Opening]:
        """A person opens it, and a person ends it."""
        one = self.load.new()
        self.load.open(one)
        self._until(lambda seen: self._out(one, seen))
        if self._is_out(one):
            self.load.end(one)
        return [one]

    def switched(self) -> list[Switching]:
        """A flag that is on for some seconds; a person may want it off before its time, or on for longer."""
        one = self.load.flag()
        self.load.switch_on(one, self.rng.randint(4, 15))
        if self.rng.random() < 0.5:
            self._until(lambda _: self.load.stage.is_on(one.flag))
        if self.rng.random() < 0.3:
            self.load.extend(one, self.rng.randint(2, 6))
        if self.rng.random() < 0.3:
            self.load.switch_off(one)
        self._until(lambda seen: not about(one.owed(), seen))
        if not self.stop.is_set():
            self.load.give_back(one)
        return [one]

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

    @staticmethod
    def _ended(one: Opening, seen: Seen) -> bool:
        return all(page.status == "resolved" for page in seen.pages[one.token])

    def _is_out(self, one: Opening) -> bool:
        return self._out(one, self.load.stage.look())

    def _until(self, condition: Callable[[Seen], bool]) -> None:
        """Wait for the outside, but no longer than chaos rages."""
        wait(lambda: self.stop.is_set() or condition(self.load.stage.look()), 60.0, every=0.2)

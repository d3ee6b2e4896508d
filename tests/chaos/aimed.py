"""Aimed kills: wait until a stand-in has got exactly that call, kill -9 the bot that made it, mend, and see what comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaos.invariants import Seen, about, missing
from chaos.load import Load, Opening, Switching
from chaos.points import POINTS, Flip, Point, Step, When
from chaos.stage import Replica, Stage, wait
from chaos.tally import Tally

AT_ONCE = 3
"""Incidents caught by one kill, each in another service: fewer than the lanes have workers, so that all are in flight."""
REACHED = 60.0
SETTLED = 120.0
"""Seconds that everything owed may take to be settled once all is mended; later is lost."""
ON_FOR, ON_LONG = 12, 600
"""Seconds for which a flag is switched on: so that its end comes soon, and so that it does not come by itself."""
TAKEN_OVER = 30.0
"""Seconds in which the call that was cut off must have been made again."""
Say = Callable[[str], None]


@dataclass
class Aim:
    """Aimed kills on one stage, one at a time."""

    stage: Stage
    load: Load
    tally: Tally
    say: Say
    turn: int = 0

    def rounds(self, only: Sequence[str] = ()) -> list[Callable[[], int]]:
        """One kill at every point, on either side of the act, and those that need no snare."""
        made: list[tuple[str, Callable[[], int]]] = [
            (point.name, lambda point=point, when=when: self.at(point, when)) for point in POINTS for when in When
        ]
        made += [("taken", self.taken), ("recovery", self.recovering)]
        return [run for name, run in made if not only or name in only]

    def at(self, point: Point, when: When) -> int:
        """Kill while the call is held, on this side of the act. As all of these, gives the number of kills."""
        touched: Sequence[Opening | Switching]
        if isinstance(point.step, Flip):
            flags = self._flags(point.step)
            doomed, touched = self._doomed(), flags
            self.stage.snare.set(point.matches, acts=when is When.AFTER)
            self._flip(point.step, flags, doomed)
        else:
            openings = self._before(point)
            doomed, touched = self._doomed(), openings
            self.stage.snare.set(point.matches, acts=when is When.AFTER)
            self.load.take(point.step, openings, to=doomed)
        self._caught(point.name, len(touched))
        flipped = point.step is Flip.ON
        self._kill(f"{point.name} {when.value}", doomed, touched, service=point.service, until_on=flipped)
        self._settle(touched)
        for one in touched:
            if isinstance(one, Switching):
                self.load.give_back(one)
        return 1

    def taken(self) -> int:
        """Kill right after the alerts are acknowledged: they are committed, and nothing is decided."""
        openings, doomed = self.load.some(AT_ONCE), self._doomed()
        self.load.take(Step.FIRE, openings, to=doomed)
        self._kill("taken", doomed, openings, service="pagerduty")
        return 1

    def recovering(self) -> int:
        """Kill again whoever carries on, in the middle of the same call, before anything is mended."""
        point = POINTS[self.turn % 3]
        openings, doomed = self._before(point), self._doomed()
        self.stage.snare.set(point.matches, acts=False)
        self.load.take(point.step, openings, to=doomed)
        self._caught(point.name, len(openings))
        for again in range(2):
            doomed.kill()
            self.tally.killed("recovery", incidents=0 if again else len(openings))
            self.stage.snare.set(point.matches, acts=False)
            doomed.spawn()
            self._caught(f"recovery of {point.name}", 1)
            # With several replicas the heir has it in hand now, and is the next to go once the other is back.
            self.stage.up([doomed])
            doomed = self._heir(doomed)
        self._kill("recovery", doomed, openings, service=point.service)
        return 3

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _before(self, point: Point) -> list[Opening]:
        """Incidents in which everything before the point's step has happened and settled."""
        openings = self.load.some(AT_ONCE, checked=point.checked)
        for step in Step:
            if step is point.step:
                return openings
            if step is Step.ACK and point.step is Step.RESOLVE:
                continue
            self.load.take(step, openings)
            self._settle(openings)
        return openings

    def _flags(self, flip: Flip) -> list[Switching]:
        """Flags that are to be switched on, or that are on."""
        flags = [self.load.flag() for _ in range(AT_ONCE)]
        if flip is Flip.OFF:
            for one in flags:
                self.load.switch_on(one, ON_LONG)
            if not wait(lambda: all(self.stage.is_on(one.flag) for one in flags), REACHED):
                raise RuntimeError(f"flags were not switched on in {REACHED:g} s")
        return flags

    def _flip(self, flip: Flip, flags: Sequence[Switching], doomed: Replica) -> None:
        for one in flags:
            if flip is Flip.ON:
                self.load.switch_on(one, ON_FOR, to=doomed)
            else:
                self.load.switch_off(one, to=doomed)

    def _doomed(self) -> Replica:
        """Whose turn it is; all replicas take alerts."""
        self.turn += 1
        self.stage.up(self.stage.replicas)
        return self.stage.replicas[self.turn % len(self.stage.replicas)]

    def _heir(self, replica: Replica) -> Replica:
        return next((one for one in self.stage.replicas if one is not replica), replica)

    def _caught(self, what: str, count: int) -> None:
        if not wait(lambda: len(self.stage.snare.held) >= count, REACHED, every=0.01):
            self.stage.snare.open()
            raise RuntimeError(f"{what}: {len(self.stage.snare.held)} of {count} calls came in {REACHED:g} s")

    def _kill(
        self,
        name: str,
        doomed: Replica,
        touched: Sequence[Opening | Switching],
        *,
        service: str,
        until_on: bool = False,
    ) -> None:
        """Kill, mend, start again, and wait until it is settled outside and in hand again.

        What had reached the outside is right outside at once; it is settled when somebody has made sure of it: so the
        figure ends no earlier than the call that was cut off is made again, and when one is alone, than it takes alerts.
        With ``until_on`` it ends when flags are on: their own end comes later.
        """
        alone = len(self.stage.replicas) == 1
        doomed.kill()
        at = time.monotonic()
        self.tally.killed(name, incidents=len(touched))
        self.stage.mend()
        doomed.spawn()
        if alone:
            self.stage.up([doomed])
        self._settle(touched, until_on=until_on)
        if not wait(lambda: self.stage.snare.first(service, since=at) is not None, TAKEN_OVER):
            self.tally.event(f"nobody made the call at {name} again in {TAKEN_OVER:g} s")
        took = time.monotonic() - at
        called = self.stage.snare.first(service, since=at)
        takeover = None if alone or called is None else called - at
        self.tally.recovered(name, took, takeover=takeover)
        self.say(f"{self.stage.name}: {name}: {took:.1f} s")

    def _settle(self, touched: Sequence[Opening | Switching], *, until_on: bool = False) -> None:
        """Wait until these are as they should be. What is wrong after that stays in the last judgement.

        ``until_on``: a flag that is on is as it should be, too; one that it was too late for never will be.
        """

        def right(one: Opening | Switching, seen: Seen) -> bool:
            on = until_on and isinstance(one, Switching) and self.stage.is_on(one.flag)
            return on or not missing(about(one.owed(), seen))

        def settled() -> bool:
            seen = self.stage.look()
            return all(right(one, seen) for one in touched)

        wait(settled, SETTLED, every=0.1)

"""Random kills under load: bots die at any moment, replicas freeze, PostgreSQL crashes, stand-ins break and mend."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from chaos.invariants import judge, missing
from chaos.lives import Lives
from chaos.load import Load
from chaos.stage import LEASE, Replica, Stage, broken, wait
from chaos.tally import Tally

AT_ONCE = 6
"""Incidents that are under way at any time."""
SETTLED = 180.0
"""Seconds that everything owed may take once all is mended: what failed often is tried again after up to two minutes."""
QUIET = 60.0
"""Seconds without any call to the outside after which nothing more is to be expected."""
RARELY = {"break": 0.35, "freeze": 0.12, "database": 0.05}
"""How likely each stands between two kills; the last two only with several replicas."""
Say = Callable[[str], None]


@dataclass
class Storm:
    """Chaos on one stage, then a calm in which everything must come right. ``crash`` restarts the database."""

    stage: Stage
    load: Load
    tally: Tally
    rng: random.Random
    say: Say
    crash: Callable[[], None] | None = None
    _pause: threading.Event = field(default_factory=threading.Event)
    _thawing: list[threading.Timer] = field(default_factory=list)

    def rage(self, kills: int) -> None:
        """Kill so many times under load, then mend everything and wait until it is quiet."""
        lives = Lives(self.load, random.Random(self.rng.random()))
        before, switched = len(self.load.openings), len(self.load.switchings)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"{self.stage.name}-life") as pool:
            running = [pool.submit(self._live_on, lives) for _ in range(AT_ONCE)]
            try:
                for _ in range(kills):
                    self._between()
                    self._kill()
            finally:
                at = time.monotonic()
                lives.stop.set()
                self._calm()
        _raise(running)
        touched = [*self.load.openings[before:], *self.load.switchings[switched:]]
        left = self._settle()
        took = time.monotonic() - at
        self.tally.killed("storm", kills=0, incidents=len(touched))
        self.tally.recovered("storm", took)
        self.say(
            f"{self.stage.name}: storm: {kills} kills, {len(touched)} incidents and flags, calm after {took:.1f} s{left}"
        )

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _live_on(self, lives: Lives) -> None:
        while not lives.stop.is_set():
            lives.live()

    def _between(self) -> None:
        """What else goes wrong before the next kill."""
        if self.rng.random() < RARELY["break"]:
            self.tally.event(f"{broken(self.stage, self.rng).split(' for ')[0]}")
        if self.crash is None or len(self.stage.replicas) == 1:
            return
        if self.rng.random() < RARELY["freeze"]:
            self._freeze()
        if self.rng.random() < RARELY["database"]:
            self.crash()
            self.tally.event("PostgreSQL crashed")

    def _kill(self) -> None:
        """Kill a replica at a random moment of its life, also while it starts and takes over, and start it again."""
        doomed = self.rng.choice([one for one in self.stage.replicas if not one.frozen])
        if self.rng.random() < 0.75:
            self.stage.up([doomed])
            self._pause.wait(self.rng.uniform(0.0, 2.5))
            name = "storm"
        else:
            self._pause.wait(max(0.0, doomed.spawned_at + self.rng.uniform(1.0, 2.5) - time.monotonic()))
            name = "storm, in its first seconds"
        doomed.kill()
        self.tally.killed(name)
        doomed.spawn()

    def _freeze(self) -> None:
        """Stop a replica for longer than its lease, and let it go on as if nothing had happened."""
        awake = [one for one in self.stage.replicas if not one.frozen and one.ready()]
        if len(awake) < 2:
            return
        frozen = self.rng.choice(awake)
        frozen.freeze()
        self.tally.event("replica frozen beyond its lease")
        timer = threading.Timer(self.rng.uniform(1.5, 2.5) * LEASE, self._thaw, (frozen,))
        self._thawing.append(timer)
        timer.start()

    @staticmethod
    def _thaw(frozen: Replica) -> None:
        if frozen.frozen:
            frozen.thaw()

    def _calm(self) -> None:
        """Everything works again."""
        for timer in self._thawing:
            timer.join()
        self._thawing.clear()
        self.stage.mend()
        self.stage.up(self.stage.replicas)

    def _settle(self) -> str:
        """Wait until nothing is owed, and then for whoever thinks that he still has something to do."""
        owed = self.load.owed()

        def right() -> bool:
            return not missing(judge(owed, self.stage.look())) and not self.stage.look(cluster=True).left_on

        wait(lambda: right() or self.stage.snare.quiet(QUIET), SETTLED, every=0.25)
        return "" if right() else "; NOT everything came right"


def _raise(running: list[Future[None]]) -> None:
    for one in running:
        one.result()

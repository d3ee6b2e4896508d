"""Lets recorded alerts pass through the code that decides about alerts, on a clock and a database of their own, with nobody outside."""

from __future__ import annotations

import functools
import heapq
import itertools
import json
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn, cast

import sqlalchemy as sa

from bot.config import ENV_REF
from bot.effects import EFFECTS, FINAL, Outcome, State, Task, Tx
from bot.engine import Engine
from bot.errors import ConfigError, GiveUp, Retry
from bot.gate import Turn
from bot.intake import Later
from bot.settings import Settings, desk_of, load
from bot.store import Store
from handlers.alerts import journal, occurrences
from handlers.alerts.doors import DOORS
from handlers.alerts.journal import JOURNAL, Entry
from handlers.alerts.payload import BadPayload, Body
from handlers.desk import Desk, Outside
from handlers.incidents import arrive, verdicts
from handlers.incidents.table import INCIDENTS
from handlers.replay.stream import Delivery
from handlers.replay.words import Decision, Result, Wake
from handlers.subjects import PERFORMERS, TICKS
from runbooks import Runbook

SECRET = "x" * 32
"""What stands for a secret that the environment does not have: nobody is asked, so nobody reads it."""
MINUTE = 60.0
CLOSE = 3600.0
"""Seconds after a delivery in which the clock ticks every minute; later, every ten minutes."""
PATIENCE = 5
"""How often an alert is looked at again that waits for another one."""


def policy(path: Path, environ: Mapping[str, str]) -> tuple[Settings, Mapping[str, Runbook]]:
    """Read a captain.yml; a variable that the environment does not have is no mistake here. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path} cannot be read: {e}") from e
    wanted = {match.group(1) for match in ENV_REF.finditer(text) if match.group(2) is None}
    return load(path, {**dict.fromkeys(wanted, SECRET), **environ})


def run(settings: Settings, runbooks: Mapping[str, Runbook], stream: Sequence[Delivery], *, name: str) -> Result:
    """What a policy makes of a stream, oldest first. It leaves nothing behind and asks nobody.

    Of people it knows nothing: nobody acknowledges, silences or resolves. Every page is taken at once.
    """
    with tempfile.TemporaryDirectory(prefix="captain-replay-") as folder:
        store = Store(f"sqlite:///{os.fspath(folder)}/replay.db")
        sa.event.listen(store.engine, "connect", _hasty)
        with closing(store):
            store.migrate()
            return _Stage(store, settings, runbooks).play(stream, name=name)


def _hasty(connection: Any, _record: object) -> None:
    """Nobody misses what a power cut takes from a replay."""
    connection.execute("pragma synchronous=off")


class Nobody:
    """Stands where captain.yml names an outside service: it is there, and whoever asked it would be told."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"a replay asks nobody, and was about to ask for '{name}'")


class Rehearsal(Engine):
    """An engine on a clock of its own that is never launched: it writes down what is owed, and does what only decides."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, [])
        self.clock = 0.0
        self._due: list[tuple[float, int, int, str]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self.clock

    @contextmanager
    def transaction(self, now: float, turn: Turn = Turn.SOON) -> Iterator[Tx]:
        """As the engine's; nothing is started. ``now``: UNIX s of this clock."""
        with self.store.write(turn) as c:
            tx = Tx(c, now)
            yield tx
        for effect, _, due in tx.started:
            heapq.heappush(self._due, (due, effect.urgency, next(self._order), effect.key))

    def advance(self, until: float) -> None:
        """Set the clock forward, and settle on the way what falls due: what decides is done, all else counts as done."""
        while self._due and self._due[0][0] <= until:
            due = self._due[0][0]
            keys = []
            while self._due and self._due[0][0] == due:
                keys.append(heapq.heappop(self._due)[-1])
            self.clock = max(self.clock, due)
            self._pass(keys)
        self.clock = max(self.clock, until)

    def _pass(self, keys: Sequence[str]) -> None:
        """Settle what falls due in one moment: at once what counts as done, and one by one what decides."""
        t = EFFECTS()
        open_ = t.c.key.in_(keys) & t.c.state.not_in([state.value for state in FINAL])
        with self.store.read() as c:
            rows = c.execute(sa.select(t).where(open_).order_by(t.c.urgency, t.c.created_at)).all()
        deciding = [row for row in rows if row.kind in self._performers]
        self._write_down([row for row in rows if row.kind not in self._performers], State.DONE, Outcome())
        for row in deciding:
            try:
                self._write_down([row], State.DONE, self._performers[row.kind].run(self._task_of(row)))
            except (Retry, GiveUp):
                self._write_down([row], State.GAVE_UP, Outcome())

    def _write_down(self, rows: Sequence[Any], state: State, outcome: Outcome) -> None:
        if not rows:
            return
        t, i, keys = EFFECTS(), INCIDENTS(), [row.key for row in rows]
        paged = [row.about for row in rows if row.kind == "page"]
        with self.transaction(self.clock) as tx:
            values = {"state": state.value, "attempt": 1, "done_at": self.clock}
            tx.c.execute(t.update().where(t.c.key.in_(keys)).values(**values))
            if paged:
                tx.c.execute(i.update().where(i.c.number.in_(paged)).values(paged_at=self.clock))
            if outcome.apply is not None:
                outcome.apply(tx)
            waits = t.c.after.in_(keys) & (t.c.state == State.WAITING.value)
            for key in tx.c.execute(sa.select(t.c.after).distinct().where(waits)).scalars().all():
                tx.release(str(key))

    def _task_of(self, row: Any) -> Task:
        args = json.loads(row.args)
        return Task(row.key, row.kind, row.about, args, 1, 0, 0.0, row.created_at, lambda: self.clock)


class _Stage:
    """One policy, its database, and the code that decides."""

    def __init__(self, store: Store, settings: Settings, runbooks: Mapping[str, Runbook]) -> None:
        self._settings = settings
        self._store = store
        self._engine = Rehearsal(store)
        there: dict[str, Any] = {
            name: cast("Any", Nobody()) if section is not None else None
            for name, section in (
                ("chat", settings.slack),
                ("pager", settings.pagerduty),
                ("tracker", settings.jira),
            )
        }
        self._desk: Desk = desk_of(settings, runbooks, store, self._engine, Outside(**there))
        for performers in PERFORMERS:
            self._engine.perform([one for one in performers(self._desk) if one.decides])
        self._ticks = [(tick.decides, functools.partial(tick.run, self._desk)) for tick in TICKS if tick.decides]
        self._refused: Counter[str] = Counter()
        self._last = 0.0

    def play(self, stream: Sequence[Delivery], *, name: str) -> Result:
        logging.getLogger("handlers").setLevel(logging.ERROR)
        start = self._engine.clock = self._last = stream[0].at
        for delivery in stream:
            self._until(delivery.at)
            self._last = delivery.at
            self._take(delivery)
        self._until(stream[-1].at + CLOSE)
        return self._result(name, start, stream[-1].at)

    def _until(self, at: float) -> None:
        """Let the time pass, with what the clock asks for."""
        while tick := self._tick(before=at):
            self._engine.advance(tick)
            for _, run in self._ticks:
                run(tick)
        self._engine.advance(at)

    def _tick(self, *, before: float) -> float:
        """The next minute at which the clock has anything to decide; 0 when there is none."""
        now = self._engine.clock
        step = MINUTE if now - self._last < CLOSE else 10 * MINUTE
        tick = now - now % step + step
        if tick >= before:
            return 0.0
        with self._store.read() as c:
            return tick if any(busy(c) for busy, _ in self._ticks) else 0.0

    def _take(self, delivery: Delivery) -> None:
        read = self._read(delivery)
        for unfit in read.refused:
            self._refused[unfit.why.partition(": ")[2]] += 1
        alerts = read.alerts
        if any(occurrences.needs(alert) for alert in alerts):
            alerts = tuple(occurrences.placed_in(self._store, alerts, at=delivery.at))
        with self._store.write() as c:
            (entries,) = journal.write(c, [(delivery.at, alerts)])
        self._decide(sorted(entries, key=self._urgency))

    def _read(self, delivery: Delivery) -> Body:
        made = self._settings
        text = json.dumps(delivery.body).encode("utf-8", "surrogatepass")
        try:
            return DOORS[delivery.source].read(text, made.services, made.incidents, made.watchdogs)
        except BadPayload as e:
            listed = delivery.body.get("alerts", [0]) if isinstance(delivery.body, dict) else delivery.body
            count = max(1, len(listed)) if isinstance(listed, list) else 1
            self._refused[str(e).partition("; ")[0].partition(": ")[2] or str(e)] += count
            return Body((), ())

    def _urgency(self, entry: Entry) -> tuple[int, int]:
        """As the intake has it: what fires before what ends, the worst first."""
        if not entry.alert.firing:
            return 1, entry.id
        return 0, verdicts.severity_of(self._desk, entry.alert.labels).rank

    def _decide(self, entries: Iterable[Entry]) -> None:
        for _ in range(PATIENCE):
            waiting = []
            for entry in entries:
                try:
                    arrive.on_alerts(self._desk, [entry], now=self._engine.clock)
                except Later:
                    waiting.append(entry)
                self._engine.advance(self._engine.clock)
            entries = waiting

    # ---- what came of it ------------------------------------------------------------------------------------------

    def _result(self, name: str, start: float, end: float) -> Result:
        a, e, i = JOURNAL(), EFFECTS(), INCIDENTS()
        with self._store.read() as c:
            alerts = c.execute(sa.select(a).order_by(a.c.received_at, a.c.id)).all()
            asked = sa.select(e.c.kind, e.c.created_at, e.c.args, i).join(i, i.c.number == e.c.about)
            woken = c.execute(asked.where(e.c.kind.in_(("page", "ticket"))).order_by(e.c.created_at, e.c.key)).all()
            incidents = int(c.execute(sa.select(sa.func.count()).select_from(i)).scalar_one())
        fired = [row for row in alerts if row.status == "firing"]
        by = {(row.incident, row.received_at): row for row in reversed(fired)}
        wakes = []
        for row in woken:
            alert = by.get((row.number, row.created_at))
            said = (alert.fingerprint, alert.verdict or "") if alert else ("", "")
            service = str(json.loads(row.args).get("service") or row.service)
            wakes.append(Wake(row.kind, row.created_at, service, row.severity, row.title, row.number, *said))
        decisions = [
            Decision(row.received_at, row.service, row.fingerprint, row.verdict or "", row.held or "") for row in fired
        ]
        refused = dict(self._refused.most_common())
        total = len(alerts) + sum(refused.values())
        return Result(name, start, end, total, incidents, wakes, decisions, refused)

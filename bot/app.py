"""The composition root: builds every part once, and gives the ears one object to call."""

from __future__ import annotations

import functools
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot import backup, grammar, inbox, retention
from bot.effects import FINAL, Effect, Outcome, Performer, Settled, State, Task, Tx
from bot.engine import Engine
from bot.errors import GiveUp, Refused, Retry
from bot.grammar import Asker, Command, Reply
from bot.inbox import Request
from bot.intake import Intake
from bot.integrations import connect
from bot.integrations.slack import Post, Respond
from bot.meter import PROMISE, Meter
from bot.refusals import Refusals
from bot.settings import Settings, desk_of, load
from bot.store import Store
from bot.tally import Tally
from handlers import forms
from handlers.access import Access
from handlers.actions import decide as action_decide
from handlers.actions import table as action_table
from handlers.alerts import journal
from handlers.alerts.doors import DOORS
from handlers.alerts.journal import Entry, Identity
from handlers.alerts.payload import Body, Source
from handlers.deploys import after as deploy_after
from handlers.deploys import decide as deploy_decide
from handlers.deploys import seen as deploy_seen
from handlers.deploys.kinds import Told, Workload
from handlers.desk import Outside
from handlers.flags import decide as flag_decide
from handlers.flags import table as flag_table
from handlers.home import facts, turns, view
from handlers.incidents import arrive, decide, phone, private, table, verdicts
from handlers.noise import silencing
from handlers.posts import post_once
from handlers.rooms import effects as room_effects
from handlers.runs import effects as run_effects
from handlers.runs import states as run_states
from handlers.slo import commands as slo_commands
from handlers.subjects import PERFORMERS, SUBJECTS, TICKS, lanes
from handlers.tickets import hear as ticket_hear
from handlers.tickets import owed as ticket_owed
from handlers.timeline import hear, marks, written
from handlers.watchdogs import table as watchdog_table
from handlers.watchdogs.hear import Ear
from runbooks import Runbook

log = logging.getLogger(__name__)
COMMIT_PATIENCE = 1.8
"""Seconds a door waits for its commit: Alertmanager hears 503 within two, Slack within its three."""


class Captain:
    """The bot without its ears. ``start`` before any other call; ``stop`` finishes or hands over what is in flight."""

    def __init__(self, settings: Settings, runbooks: Mapping[str, Runbook]) -> None:
        self.settings = settings
        self.meter = Meter()
        self.store = Store(settings.captain.database)
        rules = lanes(slack_pace=settings.slack.pace if settings.slack else 0.0)
        self.engine = Engine(self.store, rules, lease=settings.captain.lease)
        self.outside = Outside(
            chat=connect.slack(settings.slack),
            pager=connect.pagerduty(settings.pagerduty),
            tracker=connect.jira(settings.jira),
            metrics=connect.prometheus(settings.prometheus),
            alerts=connect.alertmanager(settings.alertmanager),
            cluster=connect.kubernetes(settings.kubernetes),
            heartbeat=connect.heartbeat(settings.heartbeat),
        )
        self.access = Access(settings.permissions, self.outside.chat)
        self.desk = desk_of(
            settings,
            runbooks,
            self.store,
            self.engine,
            self.outside,
            access=self.access,
            count_held=lambda kind: self.meter.held.labels(kind).inc(),
        )
        self.watchdogs = Ear(self.store, settings.watchdogs)
        self.commands = grammar.commands(SUBJECTS)
        self.alerts: Intake[Entry] = Intake(
            self.store,
            name="alerts",
            write=self._journal,
            decide=self._decide,
            urgency=self._urgency,
            undecided=lambda c, before: journal.undecided(c, before=before),
            batch=8,
        )
        self.requests: Intake[Request] = Intake(
            self.store,
            name="requests",
            write=inbox.write,
            decide=self._answer,
            urgency=_asked_by,
            undecided=inbox.undone,
            broke=self._sorry,
            workers=4,
            rest=0.003,
        )
        self.repeats: Tally[Identity] = Tally(self.store, journal.repeated, name="repeats", pressed=self.alerts.pressed)
        self.refusals = Refusals(self.store)
        self.ready = threading.Event()

    def start(self) -> None:
        """Migrate, take over what was left, start to take. Makes no outside call: alerts are taken before Slack is there.

        Raises ConfigError when the database cannot be used, or goes away in the middle of this.
        """
        try:
            self._start()
        except sa.exc.DBAPIError as e:
            raise self.store.unusable(e) from e

    def _start(self) -> None:
        self.store.lock_file()
        self.store.migrate()
        with self.store.read() as c:
            self.store.restored = backup.last_restore(c)
        for performers in PERFORMERS:
            self.engine.perform(performers(self.desk))
        self.engine.perform([Performer("reply", self._reply), Performer("home", self._home_anew)])
        self.engine.settled.append(lambda tx, done: decide.settled(self.desk, tx, done))
        self.engine.settled.append(lambda tx, done: flag_decide.settled(self.desk, tx, done))
        self.engine.settled.append(lambda tx, done: action_decide.settled(self.desk, tx, done))
        self.engine.settled.append(lambda tx, done: ticket_owed.settled(self.desk, tx, done))
        self.engine.settled.append(lambda tx, done: marks.settled(self.desk, tx, done))
        self.engine.settled.append(room_effects.settled)
        self.engine.settled.append(lambda tx, done: silencing.settled(self.desk, tx, done))
        self.engine.settled.append(written.settled)
        self.engine.settled.append(lambda tx, done: run_effects.settled(self.desk, tx, done))
        self.engine.settled.append(lambda tx, done: deploy_after.settled(self.desk, tx, done))
        self.engine.settled.append(self._meter)
        self.engine.pressed = self.alerts.pressed
        self.engine.tick("purge", self._purge)
        for tick in TICKS:
            self.engine.tick(tick.name, functools.partial(tick.run, self.desk))
        self.engine.chores += [self.alerts.refresh, self.requests.refresh]
        self.engine.launch()
        self.alerts.start()
        self.requests.start()
        self.repeats.start()
        self.refusals.start()
        self.ready.set()

    def stop(self, timeout: float = 12.0) -> None:
        """Take no more, finish the calls in flight, hand the rest over."""
        self.ready.clear()
        deadline = time.monotonic() + timeout
        self.alerts.stop(deadline)
        self.requests.stop(deadline)
        self.repeats.stop(deadline)
        self.refusals.stop(deadline)
        self.engine.close(max(1.0, deadline - time.monotonic()))
        self.store.close()

    @property
    def ticks(self) -> list[tuple[str, str]]:
        """What the clock must tell: (name, cron line in UTC)."""
        return [("purge", "17 3 * * *"), *((tick.name, tick.line) for tick in TICKS if tick.wanted(self.desk))]

    # ---- alerts -----------------------------------------------------------------------------------------------------

    def read_alerts(self, body: bytes, source: Source = Source.ALERTMANAGER) -> Body:
        """Check the body of a webhook. Raises BadPayload."""
        return DOORS[source].read(body, self.settings.services, self.settings.incidents, self.settings.watchdogs)

    def _journal(self, c: Connection, deliveries: Sequence[Sequence[Any]]) -> list[list[Entry]]:
        new = journal.write(c, deliveries)
        self.watchdogs.write(c, deliveries)
        return new

    def _urgency(self, entry: Entry) -> tuple[int, ...]:
        """Alerts that fire before alerts that end, the worst first."""
        if not entry.alert.firing:
            return 1, 0
        return 0, verdicts.severity_of(self.desk, entry.alert.labels).rank

    def _decide(self, entries: Sequence[Entry]) -> None:
        arrive.on_alerts(self.desk, entries, now=time.time())

    # ---- deploys ----------------------------------------------------------------------------------------------------

    def saw(self, namespace: str, kind: Workload, bodies: Sequence[Mapping[str, Any]], *, listed: bool) -> None:
        """What the cluster shows of workloads: all of a kind in a namespace (``listed``), or those that changed."""
        now = time.time()
        if listed:
            deploy_seen.listed(self.desk, namespace, kind, bodies, now=now)
        else:
            for body in bodies:
                deploy_seen.changed(self.desk, namespace, kind, body, now=now)

    # ---- people -----------------------------------------------------------------------------------------------------

    def take(self, request: Request) -> bool:
        """Store a request of a person and return once it is durable; False when it could not be stored in time."""
        stored = threading.Event()
        failed: list[Exception] = []

        def done(_new: list[Request] | None, error: Exception | None) -> None:
            if error is not None:
                failed.append(error)
            stored.set()

        self.requests.put([request], done)
        return stored.wait(COMMIT_PATIENCE) and not failed

    def run(self, line: str, asker: Asker) -> Reply:
        """Carry out one line of the grammar. Raises Refused with what to do instead."""
        private.ask(self.desk, asker)
        words = grammar.split(line)
        if words[:1] == ["help"] or not words:
            prefix = f"{self.desk.command} " if asker.door == "slack" else "captain "
            about = words[1] if len(words) > 1 else ""
            return Reply(
                grammar.help_text(self.commands, about, prefix=prefix, may=lambda one: self.access.may(asker, one))
            )
        try:
            command, given, options = grammar.parse(self.commands, line)
            self.access.check(asker, command)
            reply = command.run(self.desk, asker, *given, **options)
        except Refused:
            self.meter.commands.labels(asker.door, "refused").inc()
            raise
        self.meter.commands.labels(asker.door, "done").inc()
        return reply

    def _answer(self, requests: Sequence[Request]) -> None:
        """Do what stored requests ask, and owe each answer in the transaction that marks it as done."""
        for request in requests:
            self._answer_one(request)

    def _answer_one(self, request: Request) -> None:
        given = request.payload
        answer: Mapping[str, Any] | None = None
        verdict = "done"
        if request.kind == "home":
            self._home(str(given["user"]), request.key)
        elif request.kind == "modal":
            with self.engine.transaction(time.time()) as tx:
                forms.ask(tx, request.key, given)
        elif request.kind == "pagerduty":
            verdict = phone.hear(self.desk, given["event"])
        elif request.kind == "jira":
            verdict = ticket_hear.hear(self.desk, given["event"])
        elif request.kind == "deploy":
            verdict = deploy_decide.hear(self.desk, Told(**given["told"]), now=time.time())[1]
        elif request.kind == "event":
            opens = self.commands["incident", "open"]
            verdict = hear.hear(self.desk, given, lambda asker: self.access.check(asker, opens))
        else:
            asker = Asker(given["user"], given["name"], "slack", request.key, given.get("channel", ""))
            try:
                form = given.get("form")
                reply = self._submitted(asker, form) if form else self.run(given["line"], asker)
                answer = {"text": reply.text, "blocks": list(reply.blocks), "in_channel": reply.in_channel}
            except Refused as e:
                verdict = str(e)
                answer = {"text": verdict + forms.typed(given), "blocks": list(e.blocks), "in_channel": False}
        self._close(request, answer, verdict)

    def _submitted(self, asker: Asker, form: Mapping[str, Any]) -> Reply:
        """What a filled form asks for, under the same permission as the command it stands for."""
        return forms.submitted(self.desk, asker, form, check=lambda line: self.access.check(asker, self._command(line)))

    def _command(self, name: str) -> Command:
        subject, _, verb = name.partition(" ")
        return self.commands[subject, verb]

    def _close(self, request: Request, answer: Mapping[str, Any] | None, verdict: str) -> None:
        at, url = time.time(), request.payload.get("response_url")
        with self.engine.transaction(at) as tx:
            if answer is not None:
                # What was pressed on the Home tab has no address to answer to: its person gets a direct message.
                args = {"url": url, "user": request.payload.get("user", ""), **answer}
                tx.owe(Effect(f"reply:{request.key}", "reply", "replies", None, args, urgency=1))
            if request.payload.get("home"):
                turns.again(tx, str(request.payload["user"]), request.key)
            inbox.done(tx.c, request.key, at=at, verdict=verdict)

    def _sorry(self, request: Request) -> None:
        """A request broke on a fault of ours: the person hears of it instead of waiting."""
        text = "That did not work, and the fault is mine, not yours. It is in my log; please tell whoever runs me."
        text += forms.typed(request.payload)
        # Of an event and of a webhook nobody asked, so nobody waits for its answer.
        asked = request.kind not in ("event", "pagerduty", "jira", "deploy")
        answer = {"text": text, "blocks": [], "in_channel": False} if asked else None
        self._close(request, answer, "broke on a fault of mine, see my log")

    def _reply(self, task: Task) -> Outcome:
        chat = self.outside.chat
        if chat is None:
            raise GiveUp("the slack: section is missing in captain.yml")
        told = task.args
        blocks: Sequence[dict[str, Any]] = told["blocks"]
        if not told["url"]:
            post_once(self.desk, task, Post(told["user"], told["text"], blocks, None, task.key))
            return Outcome()
        chat.respond(Respond(told["url"], told["text"], blocks, in_channel=told["in_channel"]))
        return Outcome()

    def _home(self, user: str, key: str) -> None:
        """Show the tab as it is known here, and again when PagerDuty has said who is on call."""
        drawn = time.time()
        try:
            self._publish(user)
        except (Retry, GiveUp) as e:
            # Opening the tab again asks again; nothing is owed for a page that is only looked at.
            log.warning("App Home of %s: %s", user, e.reason)
        with self.engine.transaction(time.time()) as tx:
            turns.refresh(self.desk, tx, user, key, drawn=drawn)

    def _publish(self, user: str) -> None:
        if self.outside.chat is not None:
            drawn = view.view(facts.gather(self.desk, user, may=self._may(user)))
            self.outside.chat.publish_home(user, drawn)

    def _home_anew(self, task: Task) -> Outcome:
        self._publish(str(task.args["user"]))
        return Outcome()

    def _may(self, user: str) -> Callable[[str, str], bool]:
        """Whether a person in Slack may use a command, by its subject and verb."""
        asker = Asker(user, user, "slack", "")
        return lambda subject, verb: self.access.may(asker, self.commands[subject, verb])

    # ---- clock, metrics -----------------------------------------------------------------------------------------------

    def _purge(self, slot: float) -> None:
        days = self.settings.captain.retention_days
        gone = retention.purge(
            self.store,
            lambda days: self.engine.purge(days=days),
            now=slot,
            days=days,
            run_days=self.settings.runbooks.keep_days,
        )
        log.info("purged what is older than %g days: %s", days, gone)

    def _meter(self, tx: Tx, done: Settled) -> None:
        self.meter.effects.labels(done.lane, done.state.value).inc()
        if done.kind == "page" and done.state in FINAL:
            page = table.page(tx.c, done.key)
            took = max(0.0, tx.now - page.since) if page else 0.0
            if page and done.state is State.DONE:
                self.meter.page_seconds.labels(page.source).observe(took)
            elif done.state is State.GAVE_UP:
                self.meter.pages_missed.labels("gave_up").inc()
            elif took > PROMISE:
                # An incident that is over before its page was late has wronged nobody.
                self.meter.pages_missed.labels("ended").inc()

    def metrics(self) -> bytes:
        """The exposition, with what is owed and how old it is. While the database is away, the last that was known."""
        meter = self.meter
        meter.replicas.set(self.engine.replicas)
        for intake in (self.alerts, self.requests):
            meter.undecided.labels(intake.name).set(intake.waiting())
        try:
            self._measure()
            meter.database.set(1)
        except (sa.exc.SQLAlchemyError, OSError) as e:
            log.warning("metrics: the database does not answer: %s", e)
            meter.database.set(0)
        return meter.text()

    def _measure(self) -> None:
        meter, owed = self.meter, self.engine.owed()
        for rule in lanes():
            count, age = owed.get(rule.name, (0, 0.0))
            meter.owed.labels(rule.name).set(count)
            meter.oldest.labels(rule.name).set(age)
        with self.store.read() as c:
            pages = table.pages_unheard(c)
            now, heard = self.store.clock(c), watchdog_table.states(c, self.settings.watchdogs)
            on, acts = flag_table.not_over(c), action_table.not_over(c)
            burns, left, missing = slo_commands.gauges(self.desk, c, time.time())
            checked = run_states.of(c, self.desk.runbooks, self.desk.services)
        self._measure_runs(checked)
        for gauge in (meter.slo_burn, meter.slo_left, meter.slo_missing):
            gauge.clear()
        for slo, window, burn in burns:
            meter.slo_burn.labels(slo, window).set(burn)
        for slo, share in left.items():
            meter.slo_left.labels(slo).set(share)
        for slo, gone in missing.items():
            meter.slo_missing.labels(slo).set(gone)
        meter.pages_unheard.set(len(pages))
        meter.page_oldest.set(max((time.time() - page.since for page in pages), default=0.0))
        for row in heard:
            meter.watchdog_age.labels(row.name).set(watchdog_table.age(row, now))
            meter.watchdog_within.labels(row.name).set(self.settings.watchdogs[row.name].within)
        meter.actions_on.set(sum(row.status in action_table.STANDING for row in acts))
        meter.actions_overdue.set(sum((action_table.due(row) or math.inf) < time.time() for row in acts))
        meter.flags_on.set(len(on))
        meter.flags_overdue.set(sum(flag_table.due(row) < time.time() for row in on))

    def _measure_runs(self, checked: Sequence[Any]) -> None:
        meter = self.meter
        for gauge in (meter.check_outcome, meter.run_outcome, meter.run_at, meter.run_took):
            gauge.clear()
        for row in checked:
            where = (row.runbook, row.service, row.environment)
            if row.name != run_states.WHOLE:
                meter.check_outcome.labels(*where, row.name, row.outcome).set(1)
                continue
            meter.run_outcome.labels(*where, row.outcome).set(1)
            meter.run_at.labels(*where).set(row.at)
            meter.run_took.labels(*where).set(row.took_s)


def _asked_by(request: Request) -> tuple[int, ...]:
    """What a person waits for first: everybody who marks or edits a message makes an event, and nobody waits for those."""
    return (1,) if request.kind == "event" and request.payload["what"] == hear.LOOK else (0,)


def build(path: Path, environ: Mapping[str, str]) -> Captain:
    """Read the settings and build the bot; nothing is started. Raises ConfigError."""
    settings, runbooks = load(path, environ)
    return Captain(settings, runbooks)

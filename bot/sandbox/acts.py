"""What can be done in the sandbox, by the page and by the command line alike: one function per action.

Each takes the JSON body of ``POST /act/NAME`` and returns JSON; a Refused is said to whoever asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.errors import Refused
from bot.integrations.jira.fake_site import Invalid as JiraInvalid
from bot.integrations.pagerduty.fake_account import Invalid as PagerDutyInvalid
from bot.sandbox import remote, troubles
from bot.sandbox.bot_process import BotProcess
from bot.sandbox.chat_acts import ChatActs
from bot.sandbox.world import World
from bot.standin import Mode

Body = Mapping[str, Any]
Done = dict[str, Any]

BURN_ERRORS = {"fast": (0.05, 1800.0), "slow": (0.008, 7000.0)}
"""Error ratio the metrics show in a burn, and for how many seconds already: an alert fires when its windows are full."""
CALM_ERRORS = 0.0005


class Acts:
    """Every action by its name; ``do`` runs one."""

    def __init__(self, world: World, bot: BotProcess, *, bearer: str) -> None:
        self.world = world
        self.bot = bot
        self._bearer = bearer
        self._table: dict[str, Callable[[Body], Done]] = {
            **ChatActs(world.slack).table(),
            "break": self.breaks,
            "mend": self.mend,
            "trouble": self.trouble,
            "burn": self.burn,
            "calm": self.calm,
            "deploy": self.deploy,
            "metrics": self.metrics,
            "send": self.send,
            "kill": self.kill,
            "restart": self.restart,
            "pagerduty_acknowledge": self.page_acknowledge,
            "pagerduty_resolve": self.page_resolve,
            "pagerduty_escalate": self.page_escalate,
            "pagerduty_take": self.page_take,
            "pagerduty_note": self.page_note,
            "jira_transition": self.ticket_transition,
            "jira_close": self.ticket_close,
            "jira_comment": self.ticket_comment,
        }

    def do(self, name: str, body: Body) -> Done:
        act = self._table.get(name)
        if act is None:
            raise Refused(f"There is no action '{name}'. There are: {', '.join(sorted(self._table))}.")
        return act(body)

    # The world.

    def breaks(self, body: Body) -> Done:
        """``service``, ``mode``; ``seconds``, ``times``, ``only``, ``retry_after``, ``delay`` as bot.standin.Fault has them."""
        one = self.world.stand_in(word(body, "service"))
        mode = word(body, "mode")
        if mode not in list(Mode):
            raise Refused(f"'{mode}' is no way to break; there are {', '.join(Mode)}.")
        one.faults.breaks(
            mode,
            seconds=number(body, "seconds", low=0.1),
            times=count(body, "times"),
            only=str(body.get("only") or ""),
            retry_after=count(body, "retry_after") or 5,
            delay=number(body, "delay", low=0.0) or 1.0,
        )
        self.world.touch()
        return {"service": one.name, "faults": one.faults.rows()}

    def mend(self, body: Body) -> Done:
        """Take the faults of ``service`` away, or of all when none is named; then every trouble ends as well."""
        name = str(body.get("service") or "")
        for one in [self.world.stand_in(name)] if name else list(self.world.stand_ins.values()):
            one.faults.mend()
        if not name:
            troubles.end(self.world)
        self.world.touch()
        return {"mended": name or "all"}

    def trouble(self, body: Body) -> Done:
        """Make the trouble ``name``, or with ``over`` have it never been; ``over`` without a name ends all."""
        if body.get("over"):
            troubles.end(self.world, [word(body, "name")] if body.get("name") else ())
        else:
            troubles.begin(self.world, word(body, "name"))
        return {"troubles": sorted(self.world.troubles)}

    def burn(self, body: Body) -> Done:
        """Let ``service`` burn its error budget; ``kind`` fast (pages) or slow (a ticket)."""
        service, kind = self._service(body), str(body.get("kind") or "fast")
        if kind not in BURN_ERRORS:
            raise Refused(f"'{kind}' is no kind of burn; there are {', '.join(BURN_ERRORS)}.")
        errors, ago = BURN_ERRORS[kind]
        self.world.prometheus.set_world(service, errors=errors, ago=ago)
        self.world.alertmanager.burn(service, "slow" if kind == "slow" else "fast")
        self.world.touch()
        return {"service": service, "kind": kind}

    def calm(self, body: Body) -> Done:
        """End the burns of ``service``."""
        service = self._service(body)
        self.world.prometheus.set_world(service, errors=CALM_ERRORS)
        self.world.alertmanager.calm(service)
        self.world.touch()
        return {"service": service}

    def deploy(self, body: Body) -> Done:
        """Roll out the next version of ``service`` in the cluster; one that is ``bad`` answers with errors from then on."""
        service, bad = self._service(body), body.get("bad", False)
        if not isinstance(bad, bool):
            raise Refused("'bad' must be true or false.")
        try:
            before, after = self.world.deploy(service, by=str(body.get("user") or "alice"))
        except KeyError as e:
            raise Refused(f"The cluster cannot do it: {e.args[0]}.") from e
        errors, ago = BURN_ERRORS["fast"]
        errors = errors if bad else CALM_ERRORS  # as if the version had been there for as long as its checks look back
        self.world.prometheus.set_world(service, errors=errors, ago=ago)
        self.world.touch()
        return {"service": service, "before": before, "version": after, "bad": bad}

    def metrics(self, body: Body) -> Done:
        """How ``service`` does from now on: ``errors`` (ratio), ``rps``, ``p95_ms``, ``tls_failures`` (per second)."""
        service = self._service(body)
        errors, rps, p95_ms, tls = (number(body, n, low=0.0) for n in ("errors", "rps", "p95_ms", "tls_failures"))
        try:
            self.world.prometheus.set_world(service, errors=errors, rps=rps, p95_ms=p95_ms, tls_failures=tls)
        except ValueError as e:
            raise Refused(f"That cannot be: {e}.") from e
        self.world.touch()
        return {"service": service}

    def send(self, body: Body) -> Done:
        """Post ``body`` to the bot as Alertmanager does; returns the bot's ``status`` and ``answer``."""
        if not isinstance(body.get("body"), dict):
            raise Refused("'body' must be the JSON object that Alertmanager posts.")
        headers = {"authorization": f"Bearer {self._bearer}"}
        try:
            answer = remote.ask(self.bot.port, "POST", "/webhooks/alertmanager", body["body"], headers=headers)
        except remote.Unreachable as e:
            raise Refused("The bot does not answer; it may be starting. Look at its state and try again.") from e
        return {"status": answer.status, "answer": answer.data if answer.data is not None else answer.text[:2000]}

    # The bot.

    def kill(self, body: Body) -> Done:
        """Kill -9; the bot starts again at once, or after ``seconds``."""
        pid = self.bot.kill(number(body, "seconds", low=0.0) or 0.0)
        if not pid:
            raise Refused("The bot is not running just now; it is about to be started again.")
        return {"killed": pid}

    def restart(self, _body: Body) -> Done:
        """SIGTERM, then a new start."""
        pid = self.bot.restart()
        if not pid:
            raise Refused("The bot is not running just now; it is about to be started again.")
        return {"restarted": pid}

    # People with a phone and a browser.

    def page_acknowledge(self, body: Body) -> Done:
        return self._page(self.world.pagerduty.acknowledge, body)

    def page_resolve(self, body: Body) -> Done:
        return self._page(self.world.pagerduty.resolve, body)

    def page_escalate(self, body: Body) -> Done:
        """To the next level of the policy."""
        return self._page(self.world.pagerduty.escalate, body)

    def page_take(self, body: Body) -> Done:
        """``user`` has the incident reassigned to themselves."""
        return self._page(lambda incident, user: self.world.pagerduty.reassign(incident, user, user), body)

    def page_note(self, body: Body) -> Done:
        return self._page(lambda incident, user: self.world.pagerduty.note(incident, word(body, "text"), user), body)

    def _page(self, do: Callable[[str, str], object], body: Body) -> Done:
        incident, user = word(body, "incident"), str(body.get("user") or "alice")
        for row in self.world.pagerduty.state()["incidents"]:
            if incident.removeprefix("#") == str(row["number"]):
                incident = row["id"]
        try:
            do(incident, user)
        except PagerDutyInvalid as e:
            raise Refused(f"PagerDuty refuses: {' '.join([str(e), *e.errors])}") from e
        except KeyError as e:
            raise Refused(f"PagerDuty does not know this: {e.args[0]}") from e
        return {"incident": incident}

    def ticket_transition(self, body: Body) -> Done:
        """Move ticket ``key`` to the status named ``to``."""
        return self._ticket(lambda key, user: self.world.jira.transition(key, word(body, "to"), user), body)

    def ticket_close(self, body: Body) -> Done:
        return self._ticket(self.world.jira.close, body)

    def ticket_comment(self, body: Body) -> Done:
        return self._ticket(lambda key, user: self.world.jira.comment(key, word(body, "text"), user), body)

    def _ticket(self, do: Callable[[str, str], object], body: Body) -> Done:
        key, user = word(body, "key"), str(body.get("user") or "alice")
        try:
            do(key, user)
        except (JiraInvalid, KeyError) as e:
            raise Refused(f"Jira refuses: {e.args[0] if e.args else e}") from e
        return {"key": key}

    def _service(self, body: Body) -> str:
        name = word(body, "service")
        if name not in self.world.services:
            raise Refused(f"There is no service '{name}'; there are {', '.join(self.world.services)}.")
        return name


def word(body: Body, name: str) -> str:
    """A text that must be there."""
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Refused(f"'{name}' is missing.")
    return value.strip()


def number(body: Body, name: str, *, low: float) -> float | None:
    """A number of at least ``low``, or None when it was not given."""
    value = body.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value < 1e9:
        raise Refused(f"'{name}' must be a number of at least {low:g}.")
    return float(value)


def count(body: Body, name: str) -> int | None:
    """A whole number of at least one, or None when it was not given."""
    value = number(body, name, low=1)
    return None if value is None else int(value)

"""What is held wakes nobody while there is a reason, and whoever must be paged is paged when the reason has ended."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import time
import zlib
from typing import Any

import pytest
import sqlalchemy as sa
from ground.town import Bot, Town, channel, user
from ground.waiting import until

from bot.effects import EFFECTS
from bot.errors import ConfigError
from bot.grammar import Asker
from handlers.alerts.journal import JOURNAL
from handlers.noise import again
from handlers.noise.table import HOLDS

ASKER = Asker("U1", "alice", "cli", "k")
FINGERPRINTS = itertools.count(0xABC000)


def alert(service: str = "docs-api", *, fingerprint: str = "", start: str = "", **labels: str) -> dict[str, Any]:
    """One alert that fires, by default of severity page."""
    said = {"alertname": "SLOBurn", "service": service, "severity": "page", "slo": f"{service}-slo", "env": "prod"}
    return {
        "status": "firing",
        "labels": said | labels,
        "annotations": {"summary": f"{service} burns"},
        "startsAt": start or "2026-11-23T08:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": fingerprint or f"{next(FINGERPRINTS):016x}",
    }


def send(bot: Bot, *alerts: dict[str, Any]) -> None:
    """Deliver alerts and wait until each is decided about."""
    body = {"version": "4", "status": "firing", "groupKey": "g", "alerts": list(alerts)}
    assert bot.alert(body).status_code == 202
    for one in alerts:
        until(lambda one=one: told(bot, one)["verdict"] is not None, message="nobody decided")


def ended(one: dict[str, Any]) -> dict[str, Any]:
    return one | {"status": "resolved", "endsAt": "2026-11-23T08:30:00Z"}


def told(bot: Bot, one: dict[str, Any]) -> dict[str, Any]:
    """What the journal holds of an alert."""
    t = JOURNAL()
    mine = (t.c.fingerprint == one["fingerprint"]) & (t.c.status == one["status"])
    with bot.captain.store.read() as c:
        row = c.execute(sa.select(t).where(mine).order_by(t.c.starts_at.desc()).limit(1)).first()
    return dict(row._mapping)


def look(bot: Bot) -> None:
    """What the clock does once a minute."""
    again.tick(bot.captain.desk, 0.0)


def on(bot: Bot) -> list[dict[str, Any]]:
    return bot.ask("maintenance list")["data"]["on"]


def said(town: Town, part: str) -> list[dict[str, Any]]:
    return [m for m in town.messages() if part in m["text"]]


# ---- maintenance ------------------------------------------------------------------------------------------------------


def test_maintenance_holds_what_fires_in_it_and_pages_for_what_still_fires_when_it_is_ended(town: Town):
    bot = town.start()
    begun = bot.ask("maintenance start docs-api 2h new disks")
    assert begun["data"]["by_name"] == "carol"
    short, long, other = alert(), alert(slo="another"), alert("gateway")
    send(bot, short, long, other)
    until(lambda: len(town.pages()) == 1, message="gateway is in no maintenance")
    assert [page["service"] for page in town.pages()] == ["gateway"]
    held = told(bot, short)
    assert held["held"] == "maintenance"
    assert held["incident"] is None
    assert held["verdict"].startswith("held, pages nobody: maintenance docs-api is on until 20")
    assert held["verdict"].endswith("UTC, by carol (new disks)")
    send(bot, ended(short))
    assert told(bot, ended(short))["verdict"] == "resolved while it was held: nothing was opened, nobody was paged"
    assert [(one["held"], one["holds"]) for one in on(bot)] == [(2, 1)]
    assert bot.metric('captain_alerts_held_total{kind="maintenance"}') == 2
    look(bot)
    assert told(bot, long)["held"] == "maintenance", "it is on: the clock lets nothing go"

    announced = until(lambda: said(town, "Maintenance of docs-api is on until"))[0]
    assert announced["channel"] == channel(town, "docs-api")
    assert town.slack.press(announced["channel"], announced["ts"], "maintenance end", user(town, "alice"))["ok"]
    until(lambda: len(town.pages()) == 2, message="what still fires at the end pages nobody")
    until(lambda: told(bot, long)["incident"] == 2)
    acted = told(bot, long)
    assert acted["held"] is None
    assert acted["verdict"].startswith(
        "opened INC-2 and pages the on-call of docs-api: severity 'page' is sev2, after it"
    )
    until(lambda: said(town, "is over, ended by alice. It held 2 alerts; 1 still fires and is acted on now."))
    until(lambda: "button" not in town.shown(announced_now(town, announced)), message="its button is still there")
    assert on(bot) == []
    assert len(town.pages()) == 2
    assert told(bot, short)["held"] == "maintenance", "what never acted stays counted"


def announced_now(town: Town, announced: dict[str, Any]) -> dict[str, Any]:
    return next(m for m in town.messages() if m["ts"] == announced["ts"])


def test_maintenance_ends_by_itself_and_then_pages(town: Town):
    bot = town.start()
    bot.ask("maintenance start docs-api 1s")
    one = alert()
    send(bot, one)
    assert told(bot, one)["held"] == "maintenance"
    until(town.pages, message="the end of the maintenance woke nobody")
    until(lambda: said(town, "is over, ended by itself"))
    until(lambda: len(town.roots()) == 1)


def test_what_a_kill_left_held_is_acted_on_by_the_next_look(town: Town):
    bot = town.start()
    bot.ask("maintenance start docs-api 2h")
    one = alert()
    send(bot, one)
    # As if its end had been written and nothing that follows from it.
    with bot.captain.store.write() as c:
        c.execute(sa.text("update silences set open_key = null, ended_at = 1"))
    look(bot)
    until(town.pages, message="nobody looked again")
    look(bot)
    with bot.captain.store.read() as c:
        assert c.execute(sa.select(HOLDS().c.outcome, HOLDS().c.turn)).all() == [("acted", 1)]
    assert len(town.pages()) == 1


def test_a_drill_holds_the_alerts_of_its_slo_alone(town: Town):
    slo = {"service": "docs-api", "objective": 99.9, "bad": "sum(increase(bad_total[{{window}}]))"}
    slo |= {"total": "sum(increase(all_total[{{window}}]))", "evaluate": False}
    town.config["slos"] = {"docs-api-slo": slo}
    bot = town.start()
    assert "Did you mean 'docs-api-slo'?" in bot.ask("maintenance drill docs-slo 15m")["error"]
    bot.ask("maintenance drill docs-api-slo 15m does it page")
    one, other = alert(), alert(slo="another")
    send(bot, one, other)
    assert told(bot, one)["held"] == "drill"
    assert "a drill of docs-api-slo is on until" in told(bot, one)["verdict"]
    until(lambda: len(town.pages()) == 1, message="an SLO that nobody drills pages nobody")
    bot.ask("maintenance end docs-api-slo")
    until(lambda: len(town.pages()) == 2, message="the drill is over, it still burns")


def test_why_says_what_was_held_by_whom_and_until_when(town: Town):
    bot = town.start()
    bot.ask("maintenance start docs-api 1h new <disks>")
    one = alert()
    send(bot, one)
    for asked_ in ("why docs-api", "why", f"why {one['fingerprint']}"):
        answer = bot.ask(asked_)["text"]
        assert "held, pages nobody: maintenance docs-api is on until" in answer, asked_
    assert "#1, maintenance of docs-api, from" in bot.ask("why docs-api")["text"]
    assert "by carol: new <disks>, until" in bot.ask("why")["text"]
    bot.ask("maintenance end 1", name="alice")
    until(lambda: told(bot, one)["incident"])
    assert "after it was held for" in bot.ask("why INC-1")["text"]
    assert "ended by alice at" in bot.ask("why")["text"]


def test_two_maintenances_that_overlap_hold_until_the_last_is_over(town: Town):
    bot = town.start()
    bot.ask("maintenance start docs-api 1h first")
    bot.ask("maintenance start docs-api 2h second", name="bob")
    one = alert()
    send(bot, one)
    assert "by bob (second)" in told(bot, one)["verdict"]
    assert "Which one?" in bot.ask("maintenance end docs-api")["error"]
    bot.ask("maintenance end 2")
    until(lambda: "by carol (first)" in told(bot, one)["verdict"], message="the first is still on")
    assert town.pages() == []
    assert told(bot, one)["held"] == "maintenance"
    bot.ask("maintenance end docs-api")
    until(town.pages)


def test_a_window_of_the_configuration_begins_by_itself_and_is_ended_by_a_click(town: Town):
    now = dt.datetime.now(dt.UTC)
    span = {"start": (now - dt.timedelta(hours=1)).isoformat(), "end": (now + dt.timedelta(hours=1)).isoformat()}
    later = {"start": (now + dt.timedelta(hours=5)).isoformat(), "end": (now + dt.timedelta(hours=6)).isoformat()}
    town.config["maintenance"] = {
        "reindexing": {"services": ["docs-api"], "matchers": ['slo=~"docs-.*"'], "reason": "every week", **span},
        "later": {"services": ["gateway"], **later},
    }
    bot = town.start()
    one, other = alert(), alert(slo="search")
    send(bot, one, other)
    assert "maintenance reindexing is on until" in told(bot, one)["verdict"]
    assert "by captain.yml (every week)" in told(bot, one)["verdict"]
    until(lambda: len(town.pages()) == 1, message="what its matchers do not meet is held by nobody")
    assert "later: " in bot.ask("maintenance list")["text"]
    announced = until(lambda: said(town, "Maintenance of reindexing"))[0]
    assert announced["channel"] == channel(town, "docs-api")
    assert town.slack.press(announced["channel"], announced["ts"], "maintenance end", user(town, "alice"))["ok"]
    until(lambda: len(town.pages()) == 2, message="it was ended, and what it held wakes nobody")
    look(bot)
    assert on(bot) == [], "what somebody ended does not begin again"
    assert len(said(town, "Maintenance of reindexing")) == 2


def test_a_window_that_captain_yml_no_longer_has_is_over(town: Town):
    now = dt.datetime.now(dt.UTC)
    span = {"start": (now - dt.timedelta(hours=1)).isoformat(), "end": (now + dt.timedelta(hours=1)).isoformat()}
    town.config["maintenance"] = {"reindexing": {"services": ["docs-api"], **span}}
    bot = town.start()
    one = alert()
    send(bot, one)
    bot.stop()
    town.bots.clear()
    del town.config["maintenance"]
    again_ = town.start()
    look(again_)
    until(town.pages, message="nothing holds it any more")
    until(lambda: said(town, "is over, ended by captain.yml"))


def test_a_button_pressed_again_says_what_it_found_and_changes_nothing(town: Town):
    bot = town.start()
    bot.ask("maintenance start docs-api 1h")
    bot.ask("maintenance end 1", name="alice")
    assert "#1, maintenance of docs-api, ended by alice" in bot.ask("maintenance end 1")["text"]
    assert "Nothing was changed." in bot.ask("maintenance end #1")["text"]
    assert len(until(lambda: said(town, "is over, ended by"))) >= 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("maintenance start docs-apo 1h", "Did you mean 'docs-api'?"),
        ("maintenance start docs-api 0", "is no length of time"),
        ("maintenance start docs-api 0h", "is no length of time"),
        ("maintenance start docs-api 260w", "too long: 1 d 0 h at most"),
        ("maintenance start docs-api soon", "is no length of time"),
        ("maintenance end 7", "Nothing is on."),
        ("maintenance end docs-api", "Nothing of the name or number 'docs-api' is on"),
    ],
)
def test_a_slip_is_explained_and_silences_nothing(town: Town, line: str, why: str):
    bot = town.start()
    assert why in bot.ask(line)["error"]
    assert on(bot) == []


# ---- silences from the thread -----------------------------------------------------------------------------------------


@pytest.fixture
def asked(town: Town) -> Town:
    """A town whose bot may ask Alertmanager, and hears from it."""
    town.config["alertmanager"] |= {"url": f"{town.served.url}/alertmanager"}
    return town


def burn(town: Town, bot: Bot, kind: str = "fast") -> dict[str, Any]:
    """A burn that Alertmanager tells; the root message once its page is out."""
    town.alertmanager.webhook_url = f"{bot.url}/webhooks/alertmanager"
    town.alertmanager.burn("docs-api", kind)
    until(lambda: town.roots() and "Jira ✔" in town.shown(town.roots()[-1]), message="no incident")
    return town.roots()[-1]


def real(town: Town) -> list[dict[str, Any]]:
    """The silences in Alertmanager that are on."""
    return [one for one in town.alertmanager.state()["silences"] if one["status"]["state"] != "expired"]


def press(town: Town, message: dict[str, Any], line: str, who: str = "alice") -> None:
    assert town.slack.press(message["channel"], message["ts"], line, user(town, who))["ok"]


def test_a_silence_from_the_thread_is_one_in_alertmanager_and_ends_with_a_click(asked: Town):
    town, bot = asked, asked.start()
    root = burn(town, bot)
    press(town, root, "incident silence")
    offer = until(lambda: [m for m in town.slack.state()["messages"] if "For how long?" in m["text"]])[0]
    assert "incident silence 24h" in str(offer["blocks"])
    bot.ask("incident silence 2h INC-1 known since monday", name="Zoë")

    (made,) = until(lambda: real(town), message="Alertmanager was not asked")
    assert made["createdBy"] == "Zoë"
    assert made["comment"].startswith("known since monday (Release Captain ")
    labels = {m["name"]: m["value"] for m in made["matchers"] if not m["isRegex"]}
    assert labels == {
        "alertname": "SLOBurnFast", "slo": "docs-api-availability", "service": "docs-api", "env": "prod", "severity": "page"
    }  # fmt: skip
    assert town.alertmanager.state()["alerts"][0]["status"]["silencedBy"] == [made["id"]]
    (note,) = until(lambda: [m for m in town.messages() if "Silenced until" in m["text"] and m["ts"] != root["ts"]])
    assert "by Zoë: known since monday" in note["text"]
    until(lambda: "*Silenced* until" in town.shown(town.roots()[0]), message="the panel hides it")
    assert [(one["kind"], one["name"], one["by_name"]) for one in on(bot)] == [("silence", "INC-1", "Zoë")]

    press(town, note, "incident unsilence")
    until(lambda: not real(town), message="it is still on in Alertmanager")
    until(lambda: "Silenced" not in town.shown(town.roots()[0]))
    until(lambda: any("Silence of INC-1 is over, ended by alice" in text for text in town.thread(root)))
    assert on(bot) == []
    press(town, note, "incident unsilence", "bob")
    until(lambda: any("INC-1 is not silenced any more" in text for text in town.whispers(user(town, "bob"))))
    assert len(town.pages()) == 1


def test_while_it_is_silenced_only_what_gets_worse_pages(town: Town):
    bot = town.start()
    one = alert(severity="ticket")
    send(bot, one)
    until(town.roots)
    answer = bot.ask("incident silence 2h")["text"]
    assert "here alone: they come through no Alertmanager that I can ask" in answer
    assert "<!date" not in answer + bot.ask("maintenance list")["text"]
    send(bot, ended(one))
    until(lambda: bot.ask("incident show INC-1")["data"]["status"] == "resolved")
    again_, worse = one | {"startsAt": "2026-11-23T09:00:00Z"}, alert(severity="page")
    send(bot, again_)
    assert told(bot, again_)["held"] == "silence"
    assert "INC-1 is silenced until" in told(bot, again_)["verdict"]
    send(bot, worse)
    until(lambda: len(town.pages()) == 1, message="what is worse than anybody has seen pages nobody")
    bot.ask("incident unsilence INC-1")
    until(lambda: told(bot, again_)["incident"] == 1, message="what still fires at its end was not acted on")
    assert told(bot, again_)["verdict"].startswith("joined INC-1")
    assert len(town.pages()) == 1


def test_two_people_who_silence_the_same_make_one_silence_with_the_last_end(asked: Town):
    town, bot = asked, asked.start()
    root = burn(town, bot)
    bot.ask("incident silence 1h", name="alice")
    until(lambda: real(town))
    first = real(town)[0]
    bot.ask("incident silence 4h INC-1 longer", name="bob")
    until(lambda: real(town)[0]["endsAt"] > first["endsAt"], message="Alertmanager has the end of before")
    assert [one["id"] for one in real(town)] == [first["id"]]
    assert [(one["by_name"], one["reason"]) for one in on(bot)] == [("bob", "longer")]
    until(lambda: any("It was silenced by alice until" in text for text in town.thread(root)))


@pytest.mark.parametrize("mode", ["500", "429", "reset"])
def test_an_alertmanager_that_fails_is_asked_until_it_has_one_silence(asked: Town, mode: str):
    town, bot = asked, asked.start()
    burn(town, bot)
    town.alertmanager.faults.breaks(mode, times=1, only="/api/v2/silences", retry_after=1)
    bot.ask("incident silence 1h")
    until(lambda: real(town), message="it was given up")
    until(lambda: bot.captain.store.path and made_known(bot), message="we do not know of it")
    assert len(real(town)) == 1


def made_known(bot: Bot) -> bool:
    with bot.captain.store.read() as c:
        return bool(c.execute(sa.text("select outside from silences")).scalar())


def test_a_silence_that_alertmanager_refuses_is_said_in_the_thread_and_ours_holds(asked: Town):
    town = asked
    town.config["alertmanager"]["url"] = f"{town.served.url}/nowhere"
    bot = town.start()
    send(bot, alert())
    root = until(town.roots)[0]
    bot.ask("incident silence 1h")
    until(lambda: any("could not be made in Alertmanager" in text for text in town.thread(root)))
    assert len(on(bot)) == 1


def test_silences_made_in_alertmanager_are_seen_with_what_they_keep_from_us(asked: Town):
    town, bot = asked, asked.start()
    town.alertmanager.burn("docs-api")
    matchers = [{"name": "service", "value": "docs-.*", "isRegex": True}]
    body = {"matchers": matchers, "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"}
    town.alertmanager.post_silence(body | {"createdBy": "dave", "comment": "<b> new"})
    text = bot.ask("maintenance list")["text"]
    assert (
        'service=~"docs-.*"` until 2099-01-01T00:00:00.000Z (active), by dave: <b> new. It keeps 1 alert from me'
        in text
    )
    town.alertmanager.faults.breaks("503")
    assert "What it silences cannot be told now: Alertmanager answered 503" in bot.ask("maintenance list")["text"]


def test_what_no_alert_opened_cannot_be_silenced(town: Town):
    bot = town.start()
    bot.ask("incident open sev3 docs-api slow")
    assert "No alert opened INC-1" in bot.ask("incident silence 1h")["error"]
    assert "How long?" in bot.ask("incident silence INC-1 because")["error"]
    assert "is not silenced, and never was" in bot.ask("incident unsilence")["text"]


# ---- cooldown and inhibition ------------------------------------------------------------------------------------------


def over(bot: Bot, number: int = 1) -> bool:
    return bot.ask(f"incident show INC-{number}")["data"]["status"] == "resolved"


def test_what_fires_again_in_its_cooldown_pages_when_that_is_over_and_it_still_fires(town: Town):
    town.config["noise"] = {"cooldown": 3600}
    bot = town.start()
    one = alert()
    send(bot, one)
    until(lambda: len(town.pages()) == 1)
    send(bot, ended(one))
    until(lambda: over(bot))
    short, long = one | {"startsAt": "2026-11-23T09:00:00Z"}, alert()
    send(bot, short, long)
    assert told(bot, short)["held"] == told(bot, long)["held"] == "cooldown"
    assert "INC-1 ended at" in told(bot, long)["verdict"]
    send(bot, ended(short))
    look(bot)
    assert told(bot, long)["held"] == "cooldown"
    assert over(bot)
    # An hour later, as far as anybody can tell.
    with bot.captain.store.write() as c:
        c.execute(sa.text("update incidents set resolved_at = resolved_at - 3600"))
        c.execute(sa.text("update holds set since = since - 3600, until = until - 3600"))
    look(bot)
    until(lambda: told(bot, long)["incident"] is not None, message="it still fires, and nobody looks")
    until(lambda: len(town.pages()) == 2, message="it still fires, and pages nobody")
    assert told(bot, long)["verdict"].startswith("opened INC-2"), (
        "by then it is longer ago than incidents.reopen_within"
    )


def test_a_cooldown_shorter_than_reopen_within_reopens_the_incident(town: Town):
    town.config["noise"] = {"cooldown": 1}
    bot = town.start()
    one = alert()
    send(bot, one)
    until(lambda: len(town.pages()) == 1)
    send(bot, ended(one))
    until(lambda: over(bot))
    back = one | {"startsAt": "2026-11-23T09:00:00Z"}
    send(bot, back)

    def acted() -> bool:
        look(bot)
        return told(bot, back)["incident"] == 1

    until(acted)
    assert told(bot, back)["verdict"].startswith("reopened INC-1 and pages the on-call of docs-api")


def test_what_is_worse_than_before_pages_in_its_cooldown(town: Town):
    town.config["noise"] = {"cooldown": 3600}
    bot = town.start()
    one = alert(severity="ticket")
    send(bot, one)
    send(bot, ended(one))
    until(lambda: over(bot))
    send(bot, alert(severity="critical"))
    until(lambda: len(town.pages()) == 1, message="it is worse than it was, and pages nobody")


def test_a_parent_that_is_down_holds_its_children_and_lets_them_go_when_it_is_resolved(town: Town):
    town.config["services"]["docs-api"]["depends_on"] = ["gateway"]
    bot = town.start()
    parent, child, other = alert("gateway"), alert(), alert(env="dev")
    send(bot, parent)
    until(lambda: len(town.pages()) == 1)
    send(bot, child, other)
    assert told(bot, child)["verdict"] == "held, pages nobody: INC-1 of gateway is open, which docs-api depends on"
    assert told(bot, other)["incident"] == 2, "another environment depends on another gateway"
    until(lambda: len(town.pages()) == 2)
    until(lambda: "*Held behind it:* 1 alert (docs-api 1)" in town.shown(town.roots()[0]), message="its panel hides it")
    assert "Held behind it" in str(bot.captain.run("incident show INC-1", ASKER).blocks)
    send(bot, ended(parent))
    until(lambda: len(town.pages()) == 3, message="the parent is up again, the child is not, and nobody hears of it")
    assert told(bot, child)["verdict"].startswith("opened INC-3 and pages the on-call of docs-api")


def test_a_rule_of_the_configuration_inhibits_by_labels(town: Town):
    rule = {"source": ['severity="sev1"'], "target": ['severity!="critical"'], "equal": ["service"]}
    town.config["noise"] = {"inhibit": [rule]}
    bot = town.start()
    child, worst, ticket = alert(slo="a"), alert(slo="b", severity="critical"), alert(slo="c", severity="ticket")
    send(bot, child)
    assert told(bot, child)["incident"] == 1, "nothing is down yet"
    send(bot, worst)
    send(bot, ticket)
    assert (
        told(bot, ticket)["verdict"]
        == "held, pages nobody: INC-2 of docs-api is open, which noise.inhibit puts before it"
    )
    bot.ask("incident severity sev3 INC-2")
    with bot.captain.store.write() as c:
        c.execute(sa.text("update holds set since = since - 400, until = until - 400"))
    look(bot)
    until(lambda: told(bot, ticket)["incident"] == 3, message="what it stood behind is less by now")


# ---- flapping -----------------------------------------------------------------------------------------------------------


def times(one: dict[str, Any], n: int) -> dict[str, Any]:
    """The same alert, firing for the n-th time."""
    return one | {"startsAt": f"2026-11-23T{8 + n:02d}:00:00Z"}


def test_what_flaps_stays_open_is_counted_in_one_place_and_pages_nobody_anew(town: Town):
    town.config["noise"] = {"flap": {"changes": 4, "quiet": 600}}
    bot = town.start()
    one = alert(severity="critical")
    for n in range(2):
        send(bot, times(one, n))
        until(lambda n=n: len(town.pages()) == n + 1, message="it has paged before it flapped")
        send(bot, ended(times(one, n)))
    assert "INC-1 stays open: it flaps: 4 changes within 1 h" in told(bot, ended(times(one, 1)))["verdict"]
    for n in range(2, 5):
        send(bot, times(one, n))
        assert told(bot, times(one, n))["held"] == "flap"
        assert told(bot, times(one, n))["incident"] == 1
        send(bot, ended(times(one, n)))
    root = town.roots()[0]
    until(lambda: "*Flaps:* 10 changes" in town.shown(town.roots()[0]), message="the panel does not count")
    assert len([text for text in town.thread(root) if "It flaps" in text]) == 1
    assert not over(bot)
    assert len(town.pages()) == 2
    assert bot.metric('captain_alerts_held_total{kind="flap"}') == 3
    look(bot)
    assert not over(bot), "it has not been quiet yet"

    with bot.captain.store.write() as c:
        c.execute(sa.text("update flaps set last_at = last_at - 700"))
    look(bot)
    until(lambda: over(bot), message="it has been quiet, and nobody ended it")
    until(lambda: any("after 10 changes" in text for text in town.thread(root)))
    until(lambda: all(page["status"] == "resolved" for page in town.pages()))


def test_what_flaps_and_then_fires_steadily_is_an_incident_like_any_other(town: Town):
    town.config["noise"] = {"flap": {"changes": 3, "quiet": 600}}
    bot = town.start()
    one = alert(severity="ticket")
    for n in range(3):
        send(bot, times(one, n))
        send(bot, ended(times(one, n)))
    send(bot, times(one, 3))
    with bot.captain.store.write() as c:
        c.execute(sa.text("update flaps set last_at = last_at - 700"))
    look(bot)
    until(lambda: "Flaps" not in town.shown(town.roots()[0]))
    send(bot, alert(severity="critical"))
    until(lambda: len(town.pages()) == 1, message="what is worse pages, however much it flapped")
    send(bot, ended(times(one, 3)))
    assert not over(bot)


def test_a_key_that_flapped_and_was_ended_by_hand_pages_when_it_fires_steadily(town: Town):
    town.config["noise"] = {"flap": {"changes": 3, "quiet": 600}}
    bot = town.start()
    one = alert()
    for n in range(2):
        send(bot, times(one, n))
        send(bot, ended(times(one, n)))
    bot.ask("incident resolve INC-1")
    send(bot, times(one, 2), times(alert(), 2))
    held = told(bot, times(one, 2))
    assert held["held"] == "flap"
    assert "INC-1 came and went too often; it is acted on when it fires until" in held["verdict"]
    look(bot)
    assert over(bot)
    pages = len(town.pages())
    with bot.captain.store.write() as c:
        c.execute(sa.text("update holds set since = since - 700, until = until - 700"))
    look(bot)
    until(lambda: told(bot, times(one, 2))["incident"] == 1, message="it fires steadily, and nobody is told")
    until(lambda: len(town.pages()) == pages + 1)


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ({"noise": {"flap": {"changes": 2}}}, "must be 3 at least"),
        ({"noise": {"longest": "for ever"}}, "noise.longest"),
        ({"noise": {"inhibit": [{"source": ["x"], "target": ['a="b"']}]}}, "must be a matcher"),
        ({"noise": {"inhibit": [{"source": [], "target": ['a="b"']}]}}, "noise.inhibit.0.source"),
        ({"maintenance": {"x": {"services": ["gatewya"], "days": ["mon"], "from": "1:00", "to": "2:00"}}}, "'gateway'"),
    ],
)
def test_a_mistake_in_the_configuration_stops_the_start(town: Town, section: dict[str, Any], why: str):
    town.config |= section
    with pytest.raises(ConfigError, match=why):
        town.start()


def test_a_service_that_depends_on_none_that_is_known_stops_the_start(town: Town):
    town.config["services"]["docs-api"]["depends_on"] = ["gatewya", "docs-api"]
    with pytest.raises(ConfigError, match="Did you mean 'gateway'") as caught:
        town.start()
    assert "names the service itself" in str(caught.value)


# ---- whoever must be paged is paged -------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def quick(request) -> Town:
    """A town without chat and tracker, on each database: what is decided, and whom it pages."""
    database = (
        request.getfixturevalue("postgres") if request.param == "postgresql" else None
    )  # first, so that it goes last
    town = request.getfixturevalue("town")
    if database is not None:
        town.config["captain"]["database"] = database.url
    for name in ("slack", "jira", "kubernetes", "prometheus"):
        del town.config[name]
    for service in town.config["services"].values():
        del service["jira"], service["runbook"]
    town.config["services"]["docs-api"]["depends_on"] = ["gateway"]
    return town


class Life:
    """Alerts that come and go at random while people silence and let go again."""

    def __init__(self, bot: Bot, seed: int) -> None:
        self.bot, self.dice = bot, random.Random(seed)
        self.firing: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.fired: dict[tuple[str, str, str], int] = {}

    def step(self) -> None:
        deed = self.dice.choice(
            [self.fire, self.fire, self.fire, self.end, self.end, self.hold, self.let_go, self.look]
        )
        deed()

    def fire(self) -> None:
        which = (
            self.dice.choice(["docs-api", "gateway"]), self.dice.choice("ab"), self.dice.choice(["critical", "page", "ticket"])
        )  # fmt: skip
        if which in self.firing:
            return
        service, slo, severity = which
        n = self.fired[which] = self.fired.get(which, -1) + 1
        name = zlib.crc32("/".join(which).encode()).to_bytes(4, "big").hex()
        self.firing[which] = times(alert(service, slo=slo, severity=severity, fingerprint=name), n % 12)
        send(self.bot, self.firing[which])

    def end(self) -> None:
        if self.firing:
            self.over(self.dice.choice(sorted(self.firing)))

    def over(self, which: tuple[str, str, str]) -> None:
        send(self.bot, ended(self.firing.pop(which)))

    def hold(self) -> None:
        service, numbers = self.dice.choice(["docs-api", "gateway"]), self.bot.ask("incident list")["data"]
        lines = [f"maintenance start {service} 1h", f"maintenance start {service} 1h --slo a"]
        lines += [f"incident silence 1h INC-{one['number']}" for one in numbers]
        self.bot.ask(self.dice.choice(lines))

    def let_go(self) -> None:
        if numbers := [one["id"] for one in on(self.bot)]:
            self.bot.ask(f"maintenance end {self.dice.choice(numbers)}")

    def look(self) -> None:
        look(self.bot)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_was_held_what_still_fires_in_the_end_has_paged(quick: Town, seed: int):
    bot = quick.start()
    life = Life(bot, seed)
    for _ in range(45):
        life.step()
    for one in on(bot):
        bot.ask(f"maintenance end {one['id']}")
    for which in [one for one in life.firing if one[0] == "gateway"]:
        life.over(which)
    t, e = JOURNAL(), EFFECTS()

    def settled() -> bool:
        with bot.captain.store.read() as c:
            still = c.execute(sa.select(HOLDS()).where(HOLDS().c.over_at.is_(None))).all()
        assert still == []
        return True

    until(settled, message="something is held that nothing holds any more")
    for which, one in life.firing.items():
        found = told(bot, one)
        assert found["incident"] is not None, f"{which}: {found['verdict']}"
        incident = bot.ask(f"incident show INC-{found['incident']}")["data"]
        assert incident["status"] != "resolved", f"{which} fires, and its incident is over"
        if which[2] != "ticket":
            until(lambda incident=incident: paged(bot, incident["number"]), message=f"{which} fires and pages nobody")
    with bot.captain.store.read() as c:
        assert c.execute(sa.select(t.c.id).where(t.c.verdict.is_(None))).all() == []
        counted = sa.select(e.c.about, sa.func.count().label("n")).where(e.c.kind == "page").group_by(e.c.about)
        pages = {row.about: row.n for row in c.execute(counted)}
        why = sa.text(
            "select count(*) from alerts where incident = :n and (verdict like 'opened%' or verdict like 'reopened%' "
            "or verdict like 'raised%') and verdict like '%and pages the on-call%'"
        )
        for number, n in pages.items():
            assert c.execute(why, {"n": number}).scalar() == n, f"INC-{number} paged oftener than was decided"


def paged(bot: Bot, number: int) -> bool:
    e = EFFECTS()
    with bot.captain.store.read() as c:
        mine = sa.select(e.c.state).where(e.c.about == number, e.c.kind == "page").order_by(e.c.created_at.desc())
        return c.execute(mine.limit(1)).scalar() == "done"


def test_a_clock_that_was_set_back_makes_nothing_longer_than_it_was_made_for(town: Town):
    bot = town.start()
    bot.ask("maintenance start docs-api 1h")
    with bot.captain.store.write() as c:
        # As it looks when the clock has been set back by a day since.
        c.execute(sa.text("update silences set made_at = made_at + 86400, end_at = end_at + 86400"))
    one = alert()
    send(bot, one)
    assert told(bot, one)["held"] == "maintenance"
    look(bot)
    assert on(bot)[0]["end_at"] <= time.time() + 3600

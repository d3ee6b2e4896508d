"""Why was I paged, why was nobody: answered in Slack and on the command line from what was stored when it was decided."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

import psycopg
import pytest
import requests
import sqlalchemy as sa
from ground.town import PD_SECRET, WEBHOOK_SECRET, Bot, Town, user
from ground.waiting import until

from bot.grammar import Asker
from bot.inbox import INBOX
from bot.refusals import REFUSALS
from bot.tally import Count
from handlers.alerts import journal
from handlers.alerts.journal import JOURNAL
from handlers.incidents.table import INCIDENTS


def alert(body: dict[str, Any], fingerprint: str = "", **changes: Any) -> dict[str, Any]:
    """One alert of a recorded body, with other labels (None takes one away), status or start."""
    one = body["alerts"][0] | {name: changes.pop(name) for name in ("status", "startsAt") if name in changes}
    labels = {name: value for name, value in (one["labels"] | changes).items() if value is not None}
    return one | {"labels": labels, "fingerprint": fingerprint or one["fingerprint"]}


def told(bot: Bot, line: str) -> str:
    answer = bot.ask(line)
    return answer.get("text") or answer["error"]


def verdicts(bot: Bot) -> list[str | None]:
    with bot.captain.store.read() as c:
        return list(c.execute(sa.select(JOURNAL().c.verdict).order_by(JOURNAL().c.id)).scalars())


def decided(bot: Bot, count: int) -> list[str]:
    """The verdicts of all alerts, once there are so many."""
    until(lambda: len(verdicts(bot)) == count and None not in verdicts(bot))
    return verdicts(bot)


def repeats(bot: Bot) -> int:
    with bot.captain.store.read() as c:
        return int(c.execute(sa.select(sa.func.sum(JOURNAL().c.repeats))).scalar_one() or 0)


def phone(bot: Bot, event: dict[str, Any], secret: str = PD_SECRET) -> int:
    body = json.dumps({"event": event}).encode()
    signature = "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"x-pagerduty-signature": signature, "content-type": "application/json"}
    return requests.post(f"{bot.url}/webhooks/pagerduty", data=body, headers=headers, timeout=10).status_code


# ---- the sender says delivered, and there is no incident ----------------------------------------------------------------


def test_a_refused_payload_is_found_by_its_name_and_by_its_time(town: Town, alertmanager_body):
    bot = town.start()
    fire = alertmanager_body("firing-single")
    lost = alert(fire, service=None, alertname="DiskFull")
    assert bot.alert(fire | {"alerts": [lost]}).status_code == 422
    for line in ("why DiskFull", "why", "why 0s", "why diskful", f"why {int(time.time())}"):
        said = told(bot, line)
        assert "✘ refused with 422 (alertmanager): alerts[0]: the label 'service' is missing" in said, line
        assert "It held `DiskFull`" in said
    row = bot.ask("why DiskFull")["data"]["refusals"][0]
    assert json.loads(row["payload"])["alerts"][0]["labels"]["alertname"] == "DiskFull", (
        "the payload is kept as it came"
    )


def test_one_refused_alert_of_a_delivery_that_was_taken_is_found_too(town: Town, alertmanager_body):
    """The sender saw 202: that is the case in which nobody understands where the alert went."""
    bot = town.start()
    fire = alertmanager_body("firing-single")
    body = fire | {"alerts": [fire["alerts"][0], alert(fire, service="docs-ap", alertname="DiskFull")]}
    assert bot.alert(body).status_code == 202
    said = told(bot, "why DiskFull")
    assert (
        "✘ refused, in a delivery answered with 202 (alertmanager): alerts[1]: the service 'docs-ap' is not in" in said
    )
    assert "SLOBurnFast" not in said


def test_a_delivery_with_thousands_of_unfit_alerts_is_a_few_rows(town: Town, alertmanager_body):
    bot = town.start()
    fire = alertmanager_body("firing-single")
    unfit = [alert(fire, service=f"unknown-{n}", alertname=f"A{n}") for n in range(3000)]
    assert bot.alert(fire | {"alerts": [fire["alerts"][0], *unfit]}).status_code == 202
    rows = bot.ask("why A7")["data"]["refusals"]
    assert [row for row in rows if '"A7"' in row["payload"]]
    with bot.captain.store.read() as c:
        reasons = c.execute(sa.select(REFUSALS().c.reason).order_by(REFUSALS().c.id)).scalars().all()
    assert len(reasons) == 21
    assert reasons[-1].startswith("2980 more alerts of this delivery, the first of them: alerts[21]:")


def test_alerts_that_alertmanager_left_out_are_told_of(town: Town, alertmanager_body):
    bot = town.start()
    assert bot.alert(alertmanager_body("firing-single") | {"truncatedAlerts": 12}).status_code == 202
    assert "Alertmanager left 12 alerts out of this delivery; raise or remove max_alerts" in told(bot, "why")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{nonsense", 400, "refused with 400 (alertmanager): the body is not JSON"),
        (b"\x00\xff\xfe", 400, "refused with 400 (alertmanager): the body is not JSON"),
        (b'{"version": "3"}', 422, "webhook version '3' is not understood"),
        (b"x" * 9_000_000, 413, "refused with 413 (alertmanager): the body is larger than"),
    ],
)
def test_bodies_of_every_bad_kind_are_told_of(town: Town, body, status, said):
    bot = town.start()
    headers = {"authorization": f"Bearer {WEBHOOK_SECRET}"}
    answer = requests.post(f"{bot.url}/webhooks/alertmanager", data=body, headers=headers, timeout=10)
    assert answer.status_code == status
    assert said in told(bot, "why")


def test_a_stranger_is_told_of_and_nothing_of_what_he_sent_is_kept(town: Town, alertmanager_body):
    bot = town.start()
    town.slack.faults.breaks("hang")  # what Slack does is of no matter here
    for _ in range(20):
        assert bot.alert(alertmanager_body("firing-single"), secret="guess").status_code == 401
    assert phone(bot, {"id": "1"}, secret="guess") == 401
    asked = {"command": "/why", "text": "a secret"}
    assert requests.post(f"{bot.url}/slack/events", data=asked, timeout=5).status_code == 401
    data = until(lambda: len(found := bot.ask("why")["data"]["refusals"]) == 3 and found)
    assert {(row["source"], row["status"], row["payload"]) for row in data} == {
        ("alertmanager", 401, ""),
        ("pagerduty", 401, ""),
        ("slack", 401, ""),
    }


def test_nothing_found_says_what_was_looked_for_and_where_to_look_next(town: Town, alertmanager_body):
    bot = town.start()
    assert "nothing came in: no alert, no refused payload, no PagerDuty event" in told(bot, "why")
    bot.alert(alertmanager_body("firing-single"))
    decided(bot, 1)
    said = told(bot, "why SLOBurnFats")
    assert "No alert and no refused payload carries `SLOBurnFats`.* Did you mean `SLOBurnFast`?" in said
    assert "202 for what I took, 4xx for what I refused and 503 when my database did not answer" in said
    assert "its route and its receiver's url: it did not reach me" in said
    assert "nothing came in" in told(bot, "why 3h")
    assert "There is no INC-99" in told(bot, "why INC-99")
    assert "'25:00' is not a time I can read" in told(bot, "why 25:00")


# ---- somebody was paged -------------------------------------------------------------------------------------------------


def test_a_page_is_explained_from_the_alert_to_whoever_took_it(town: Town, alertmanager_body):
    bot = town.start()
    town.pagerduty.webhook_url = f"{bot.url}/webhooks/pagerduty"
    town.pagerduty.webhook_secret = PD_SECRET
    bot.alert(alertmanager_body("firing-single"))
    page = until(town.pages)[0]
    town.pagerduty.acknowledge(page["id"], "bob")
    until(lambda: bot.ask("incident show INC-1")["data"]["status"] == "acknowledged")
    until(lambda: "acknowledged INC-1" in told(bot, "why 1"), message="the verdict of the webhook is not stored")
    said = told(bot, "why INC-1")
    assert "*The on-call of docs-api was paged*, because severity 'page' is sev2: PagerDuty took the page at" in said
    assert "alert `SLOBurnFast` fires (`2ced3b083f120737`): opened INC-1 and pages the on-call of docs-api" in said
    assert "acknowledged by Bob Brown in PagerDuty" in said
    assert "incident.acknowledged by Bob Brown: acknowledged INC-1." in said
    around = told(bot, "why 0m")
    for part in ("opened INC-1 and pages", "PagerDuty took the page of INC-1 (docs-api)", "acknowledged INC-1"):
        assert part in around
    assert around.index("opened INC-1") < around.index("acknowledged INC-1"), "in the order it came"
    data = bot.ask("why inc-1")["data"]
    assert data["alerts"][0]["labels"]["alertname"] == "SLOBurnFast"
    assert data["effects"]
    assert data["answer"].startswith("The on-call of docs-api was paged, because")


def test_a_page_that_is_tried_again_and_again_says_so_until_it_is_out(town: Town, alertmanager_body):
    bot = town.start()
    town.pagerduty.faults.breaks("500")
    bot.alert(alertmanager_body("firing-single"))
    said = until(lambda: (text := told(bot, "why INC-1")) and "*Nobody has been paged yet:* try" in text and text)
    assert " failed: " in said
    assert "The next is at" in said
    assert "call the on-call yourself" in said
    for line in ("why", "why SLOBurnFast"):
        said = told(bot, line)
        assert "*⚠ Pages that are not out*" in said
        assert "INC-1: nobody has been paged yet, try" in said
        assert said.index("Pages that are not out") < said.index("opened INC-1"), "what matters most stands first"
    town.pagerduty.faults.mend()
    until(town.pages)
    assert ", at try " in until(lambda: (text := told(bot, "why INC-1")) and "was paged*, because" in text and text)


def test_a_page_that_was_given_up_names_the_way_out(town: Town, alertmanager_body):
    town.config["services"]["docs-api"]["pagerduty"] = "c" * 32  # a key PagerDuty does not know
    bot = town.start()
    bot.alert(alertmanager_body("firing-single"))
    said = until(lambda: (text := told(bot, "why INC-1")) and "*Nobody has been paged:*" in text and text)
    assert "Once that is mended: `incident repair INC-1`" in said
    assert "PagerDuty: ✘ given up after 1 try" in said
    assert "INC-1: nobody has been paged, and I gave up: " in told(bot, "why 1m")


# ---- nobody was paged ---------------------------------------------------------------------------------------------------


def test_nobody_paged_is_explained_for_every_reason(town: Town, alertmanager_body):
    town.config["services"]["quiet"] = {"channel": "#general"}
    bot = town.start()
    fire = alertmanager_body("firing-single")
    gone = alert(fire, "aa01", slo="gone")
    for n, one in enumerate(
        [
            alert(fire, "aa02", severity="ticket", slo="slow"),
            alert(fire, "aa03", service="quiet"),
            gone | {"status": "resolved"},
            gone,
            alert(fire, "aa04", severity="ticket", slo="slow", alertname="Slower"),
            alert(fire, "aa05", slo="slow"),
            alert(fire, "aa06", slo="slow", alertname="Third"),
            alert(fire, "aa07", severity="blocker", slo="odd", service="gateway"),
        ],
        start=1,
    ):
        bot.alert(fire | {"alerts": [one]})
        decided(bot, n)
    said = decided(bot, 8)
    assert said[0] == "opened INC-1, pages nobody: severity 'ticket' is sev3, which makes a ticket"
    assert said[1] == "opened INC-2, pages nobody: services.quiet.pagerduty is not set in captain.yml"
    assert said[2] == "resolved before it fired: nothing to do"
    assert said[3] == "already resolved when it arrived: nobody is paged"
    assert said[4] == "joined INC-1, pages nobody: severity 'ticket' is sev3, which makes a ticket"
    assert said[5] == "raised INC-1 from sev3 to sev2 and pages the on-call of docs-api: severity 'page' is sev2"
    assert said[6].startswith("joined INC-1, pages nobody again: ")
    assert said[7].startswith("opened INC-3 and pages the on-call of gateway: severity 'blocker' is not among")
    assert "*Nobody was paged*, because services.quiet.pagerduty is not set in captain.yml." in told(bot, "why INC-2")
    assert "already resolved when it arrived: nobody is paged" in told(bot, "why gone")
    until(lambda: "*The on-call of docs-api was paged*, because severity 'page' is sev2" in told(bot, "why INC-1"))
    # It ends, one after the other.
    for n, fingerprint in enumerate(("aa02", "aa04", "aa05", "aa06"), start=9):
        bot.alert(fire | {"alerts": [alert(fire, fingerprint, status="resolved", slo="slow")]})
        decided(bot, n)
    assert decided(bot, 12)[8:] == [
        "resolved: 3 other alerts of INC-1 still fire",
        "resolved: 2 other alerts of INC-1 still fire",
        "resolved: 1 other alert of INC-1 still fires",
        "resolved: nothing of INC-1 fires any more",
    ]
    assert "resolved: every alert has resolved" in told(bot, "why INC-1")


def test_without_a_pagerduty_section_that_is_the_reason(town: Town, alertmanager_body):
    town.config.pop("pagerduty")
    for service in town.config["services"].values():
        service.pop("pagerduty")
    bot = town.start()
    bot.alert(alertmanager_body("firing-single"))
    decided(bot, 1)
    assert "*Nobody was paged*, because there is no pagerduty: section in captain.yml." in told(bot, "why INC-1")


def test_an_incident_opened_by_hand_says_why_too(town: Town):
    bot = town.start()
    bot.ask("incident open sev3 docs-api slow search", "dora")
    assert "*Nobody was paged*, because it was opened as sev3, which makes a ticket." in told(bot, "why INC-1")
    assert "dora opened INC-1 (sev3, docs-api) by hand: pages nobody: it was opened as sev3" in told(
        bot, "why docs-api"
    )
    assert "dora opened INC-1 (sev3, docs-api) by hand" in told(bot, "why")
    bot.ask("incident open sev1 gateway down", "dora")
    until(lambda: "*The on-call of gateway was paged*, because it was opened as sev1" in told(bot, "why INC-2"))


# ---- what PagerDuty sends, what people ask ------------------------------------------------------------------------------


def test_what_pagerduty_sent_has_its_verdict(town: Town, alertmanager_body):
    bot = town.start()
    bot.alert(alertmanager_body("firing-single"))
    uid = until(lambda: bot.ask("incident list")["data"])[0]["uid"]

    def event(number: int, kind: str, key: str) -> dict[str, Any]:
        agent = {"summary": "Bob <!here>", "type": "user_reference"}
        return {"id": f"E{number}", "event_type": f"incident.{kind}", "agent": agent, "data": {"incident_key": key}}

    for n, (kind, key) in enumerate(
        [("acknowledged", f"captain-{uid}"), ("acknowledged", f"captain-{uid}"), ("resolved", f"captain-{uid}"),
         ("acknowledged", f"captain-{uid}"), ("annotated", f"captain-{uid}"), ("resolved", "another"),
         ("resolved", "captain-0000")]
    ):  # fmt: skip
        assert phone(bot, event(n, kind, key)) == 202
        until(lambda n=n: len([row for row in inbox(bot, "pagerduty") if row.done_at]) == n + 1)
    assert phone(bot, event(0, "acknowledged", f"captain-{uid}")) == 202, "sent again, it is known"
    assert [row.verdict for row in inbox(bot, "pagerduty")] == [
        "acknowledged INC-1",
        "nothing to do: INC-1 is acknowledged already",
        "resolved INC-1",
        "nothing to do: INC-1 is resolved already",
        "shown in INC-1",
        "not ours: no dedup key of mine",
        "not ours: I know no incident with this dedup key",
    ]
    said = told(bot, "why")
    assert "and 2 more PagerDuty events" in said
    assert "<!here>" in said, "a terminal calls nobody"
    assert "<!here>" not in bot.captain.run("why", Asker("U1", "alice", "slack", "k")).text


def test_what_people_asked_has_its_verdict(town: Town):
    bot = town.start()
    alice = user(town, "alice")
    town.slack.slash("#docs-api", alice, "/incident", "list")
    town.slack.slash("#docs-api", alice, "/incident", "ack INC-9")
    until(lambda: len([row for row in inbox(bot, "command") if row.done_at]) == 2)
    assert sorted(row.verdict for row in inbox(bot, "command")) == [
        "There is no incident 'INC-9'. `incident list --all` shows the latest ones.",
        "done",
    ]


def inbox(bot: Bot, kind: str) -> list[Any]:
    with bot.captain.store.read() as c:
        return list(c.execute(sa.select(INBOX()).where(INBOX().c.kind == kind).order_by(INBOX().c.received_at)).all())


# ---- repeats ------------------------------------------------------------------------------------------------------------


def test_repeated_deliveries_are_counted_and_told(town: Town, alertmanager_body):
    bot = town.start()
    fire = alertmanager_body("firing-single")
    for _ in range(5):
        bot.alert(fire)
    assert bot.alert(fire | {"alerts": fire["alerts"] * 2}).json() == {"accepted": 0, "duplicates": 2}
    until(lambda: repeats(bot) == 6, message="the repeats were not written down")
    assert "It came 6 more times, last at" in told(bot, "why INC-1")
    assert town.pagerduty.state()["incidents"][0]["triggers"] == 1


def test_a_clean_stop_loses_no_count_and_the_next_process_counts_on(town: Town, alertmanager_body):
    """The next process has not seen the alert before; the database has."""
    bot = town.start()
    fire = alertmanager_body("firing-single")
    for _ in range(4):
        bot.alert(fire)
    bot.stop()
    town.bots.clear()
    after = town.start()
    assert repeats(after) == 3
    after.alert(fire)
    until(lambda: repeats(after) == 4)


def test_a_repeat_costs_no_commit_before_its_answer(town: Town, alertmanager_body):
    bot = town.start()
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    until(lambda: "PagerDuty ✔" in "".join(town.shown(root) for root in town.roots()))
    with bot.captain.store.write():  # nobody else can write now
        began = time.monotonic()
        assert bot.alert(fire).json() == {"accepted": 0, "duplicates": 1}
        assert time.monotonic() - began < 1.0
    until(lambda: repeats(bot) == 1)


def test_an_alert_that_is_still_sent_is_not_purged_and_refusals_are(town: Town, alertmanager_body):
    bot = town.start()
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    bot.alert(fire | {"alerts": [alert(fire, "aa01", slo="other")]})
    bot.alert(fire | {"alerts": [alert(fire, service=None)]})
    decided(bot, 2)
    for number in (1, 2):  # what belongs to an open incident is kept in any case
        bot.ask(f"incident resolve INC-{number} --anyway")
    with bot.captain.store.write() as c:
        long_ago = time.time() - 400 * 86400
        c.execute(INCIDENTS().update().values(resolved_at=long_ago))
        for table in (JOURNAL(), REFUSALS()):
            c.execute(table.update().values(received_at=long_ago))
        c.execute(JOURNAL().update().where(JOURNAL().c.fingerprint != "aa01").values(seen_at=time.time()))
    bot.captain._purge(time.time())
    with bot.captain.store.read() as c:
        assert c.execute(sa.select(JOURNAL().c.fingerprint)).scalars().all() == [fire["alerts"][0]["fingerprint"]]
        assert c.execute(sa.select(REFUSALS())).all() == []


# ---- doors --------------------------------------------------------------------------------------------------------------


def test_why_is_asked_in_slack_by_either_command(town: Town, alertmanager_body):
    bot = town.start()
    bot.alert(alertmanager_body("firing-single"))
    until(town.pages)
    until(lambda: bot.ask("incident list")["data"][0]["paged_at"])
    alice = user(town, "alice")
    for command, text in (("/why", "INC-1"), ("/captain", "why INC-1"), ("/why", "")):
        before = len(town.whispers(alice))
        assert town.slack.slash("#docs-api", alice, command, text)["ok"]
        said = until(lambda before=before: town.whispers(alice)[before:])[0]
        assert "because severity 'page' is sev2" in said or "opened INC-1 and pages" in said
    town.slack.slash("#docs-api", alice, "/why", "25:00")
    until(lambda: any("'25:00' is not a time I can read" in text for text in town.whispers(alice)))
    town.slack.slash("#docs-api", alice, "/captain", "help why")
    until(lambda: any("`/captain why WHAT…`" in text for text in town.whispers(alice)))


def test_a_hostile_alert_is_shown_and_wakes_no_channel(town: Town, alertmanager_body):
    bot = town.start()
    fire = alertmanager_body("firing-single")
    name = "Disk `full` *now* <!channel> " + "x" * 10_000
    bot.alert(fire | {"alerts": [alert(fire, alertname=name, severity="<!here>", slo="s")]})
    bot.alert(fire | {"alerts": [alert(fire, alertname=name, service=f"<!channel>{name}")]})
    decided(bot, 1)
    alice = user(town, "alice")
    for text in ("INC-1", "", "Disk `full` *now* <!channel>", "0m"):
        before = len(town.whispers(alice))
        assert town.slack.slash("#docs-api", alice, "/why", text)["ok"]
        until(lambda before=before: town.whispers(alice)[before:], message=f"why {text} was not answered")
    shown = "".join(json.dumps(m) for m in town.slack.state()["messages"] if m.get("ephemeral_to") == alice)
    assert "<!channel>" not in shown
    assert "<!here>" not in shown
    assert "&lt;!here&gt;" in shown
    assert "`Disk 'full' *now* &lt;!channel&gt; xxx" in shown, "a name is shown as code, where nothing is formatting"


# ---- a database that is away, and PostgreSQL ----------------------------------------------------------------------------


@pytest.fixture
def shared(postgres, town: Town) -> Town:
    town.config["captain"]["database"] = postgres.url
    return town


def test_why_is_answered_from_postgresql_too(shared: Town, alertmanager_body):
    bot = shared.start()
    fire = alertmanager_body("firing-single")
    bot.alert(fire | {"alerts": [fire["alerts"][0], alert(fire, service="docs-ap", alertname="Disk\0Full 100%")]})
    for _ in range(3):
        bot.alert(fire)
    bot.alert(fire, secret="guess")
    until(lambda: repeats(bot) == 3)
    until(lambda: "was paged*, because severity 'page' is sev2" in told(bot, "why INC-1"))
    assert "It came 3 more times" in told(bot, "why sloburnfast")
    assert "refused, in a delivery answered with 202" in told(bot, "why full 100%")
    for part in ("opened INC-1", "refused with 401", "PagerDuty took the page of INC-1"):
        assert part in told(bot, "why 0m")


def test_an_alert_that_is_being_decided_about_is_counted_later_and_nobody_waits(
    shared: Town, postgres, alertmanager_body
):
    bot = shared.start()
    fire = alertmanager_body("firing-single")
    other = alert(fire, "aa01", slo="other")
    bot.alert(fire | {"alerts": [fire["alerts"][0], other]})
    decided(bot, 2)
    with bot.captain.store.read() as c:
        known = [
            journal.alert_of(row).identity for row in c.execute(sa.select(JOURNAL()).order_by(JOURNAL().c.id)).all()
        ]
    counts = {identity: Count(2, 5.0, 7.0) for identity in [*known, ("ffff", 1, "firing")]}
    with psycopg.connect(postgres.url) as held:
        held.execute("select * from alerts where fingerprint = 'aa01' for update")
        began = time.monotonic()
        with bot.captain.store.write() as c:
            assert journal.repeated(c, counts) == {known[1], ("ffff", 1, "firing")}
        assert time.monotonic() - began < 1.0
    with bot.captain.store.write() as c:
        assert journal.repeated(c, {known[1]: Count(3, 5.0, 9.0)}) == set()
    with bot.captain.store.read() as c:
        found = c.execute(sa.select(JOURNAL().c.repeats, JOURNAL().c.seen_at).order_by(JOURNAL().c.id)).all()
    assert [tuple(row) for row in found] == [(2, 7.0), (3, 9.0)]


def test_a_refusal_stays_a_refusal_when_the_journal_cannot_be_written(shared: Town, postgres, alertmanager_body):
    bot = shared.start()
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    decided(bot, 1)
    postgres.stop("immediate")
    lost = alert(fire, service=None)
    assert bot.alert(fire | {"alerts": [lost]}).status_code == 422
    assert bot.alert(fire, secret="guess").status_code == 401
    assert bot.alert(fire).status_code == 202, "what is known is taken without the database"
    assert bot.alert(fire | {"alerts": [alert(fire, "aa01")]}).status_code == 503
    postgres.start()
    until(lambda: repeats(bot) == 1, timeout=20, message="the count did not outlive the database")


@pytest.mark.slow
def test_a_refusal_that_was_answered_survives_kill_9(town: Town, alertmanager_body):
    bot = town.spawn()
    fire = alertmanager_body("firing-single")
    assert bot.alert(fire | {"alerts": [alert(fire, service=None, alertname="DiskFull")]}).status_code == 422
    bot.kill()
    assert "It held `DiskFull`" in told(town.spawn(), "why DiskFull")


def test_the_statement_that_counts_repeats_finds_its_rows_by_an_index(town: Town):
    bot = town.start()
    with bot.captain.store.read() as c:
        plan = c.exec_driver_sql(f"explain query plan {journal.REPEATED}", (1, 1.0, "f", 1, "firing")).all()
    assert [step[3] for step in plan if step[3].startswith("SCAN")] == []
    assert any("sqlite_autoindex_alerts" in step[3] for step in plan)

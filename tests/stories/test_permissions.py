"""Permissions: who may do what, in Slack by user group and e-mail, on the command line by a token of one's own."""

from __future__ import annotations

import pytest
import requests
from ground.town import Town, user
from ground.waiting import until

TOKEN = "alices-own-token"


@pytest.fixture
def guarded(town: Town) -> Town:
    group = town.slack.add_usergroup("release-captains", [user(town, "bob")])
    emails = {one["name"]: one["email"] for one in town.slack.state()["users"]}
    town.config["permissions"] = {
        "roles": {"captain": {"usergroup": group, "emails": [emails["alice"].upper()]}},
        "needs": {"incident open": "captain", "flag": ["captain"]},
        "tokens": {emails["alice"]: TOKEN},
    }
    return town


def hears(town: Town, name: str, text: str, words: str) -> None:
    town.slack.slash("#docs-api", user(town, name), "/captain", text)
    until(lambda: words in "".join(town.whispers(user(town, name))[-1:]), message=f"{name} did not hear {words!r}")


def test_who_has_the_role_may_and_who_has_not_hears_whom_to_ask(guarded: Town):
    bot = guarded.start()
    hears(guarded, "bob", "incident open sev3 docs-api by group", "Opened *INC-1*")
    hears(guarded, "alice", "incident open sev3 docs-api by e-mail", "Opened *INC-2*")
    hears(guarded, "carol", "incident open sev3 docs-api by nobody", "needs the role captain, which you do not have")
    assert "<!subteam^" in guarded.whispers(user(guarded, "carol"))[-1]
    hears(guarded, "carol", "incident ack 1", "You acknowledged INC-1")
    assert len(bot.ask("incident list")["data"]) == 2


def test_help_and_home_show_what_one_may_do(guarded: Town):
    guarded.start()
    hears(guarded, "bob", "help", "incident open")
    hears(guarded, "carol", "help", "incident list")
    told = guarded.whispers(user(guarded, "carol"))[-1]
    assert "incident open" not in told
    assert "flag on" not in told
    hears(guarded, "carol", "help flag", "needs a role")
    for name, shown in (("bob", True), ("carol", False)):
        guarded.slack.open_home(user(guarded, name))
        home = until(lambda name=name: guarded.slack.state()["homes"].get(user(guarded, name)))
        assert ("Open an incident" in str(home["blocks"])) is shown


def test_a_form_needs_the_same_role_as_the_command(guarded: Town):
    bot, carol = guarded.start(), user(guarded, "carol")
    guarded.slack.slash("#docs-api", carol, "/incident", "open")
    shown = until(lambda: guarded.slack.state()["views"])[-1]
    fields = {"title": {"it": "x"}, "service": {"it": "docs-api"}, "severity": {"it": "sev1"}}
    guarded.slack.submit_view(shown["id"], carol, fields)
    until(lambda: "needs the role captain" in "".join(guarded.whispers(carol)[-1:]))
    assert bot.ask("incident list")["data"] == []


def test_on_the_command_line_a_token_of_ones_own_proves_who_one_is(guarded: Town):
    bot = guarded.start()
    refused = bot.ask("incident open sev3 docs-api x", name="alice@example.com")["error"]
    assert "CAPTAIN_TOKEN" in refused
    headers = {"authorization": f"Bearer {TOKEN}"}
    asked = {"line": "incident open sev3 docs-api x", "as": "somebody else"}
    told = requests.post(f"{bot.url}/api/command", json=asked, headers=headers, timeout=10).json()
    email = next(iter(guarded.config["permissions"]["tokens"]))
    assert told["data"]["opened_by"] == email
    assert (
        requests.post(
            f"{bot.url}/api/command", json=asked, headers={"authorization": "Bearer x"}, timeout=10
        ).status_code
        == 401
    )


def test_while_slack_is_down_what_it_said_last_counts_and_who_is_not_known_is_refused(guarded: Town):
    bot = guarded.start()
    hears(guarded, "bob", "incident open sev3 docs-api one", "Opened *INC-1*")
    bot.captain.access._kept = {key: (0.0, known) for key, (_, known) in bot.captain.access._kept.items()}
    guarded.slack.faults.breaks("500", only="usergroups.users.list")
    guarded.slack.faults.breaks("500", only="users.info")
    hears(guarded, "bob", "incident open sev3 docs-api two", "Opened *INC-2*")
    hears(guarded, "alice", "incident open sev3 docs-api three", "I cannot tell whether you may")
    asked = len([call for call in guarded.calls.calls if call.path.endswith("users.info")])
    hears(guarded, "alice", "help", "incident open")
    assert len([call for call in guarded.calls.calls if call.path.endswith("users.info")]) == asked, (
        "once, not for each"
    )


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"needs": {"flg": "x"}}, "Did you mean 'flag'?"),
        ({"needs": {"flag": "captian"}, "roles": {"captain": {"emails": ["a@b"]}}}, "Did you mean 'captain'?"),
        ({"roles": {"captain": {}}}, "has nobody"),
        ({"roles": {"captain": {"emails": ["alice"]}}}, "is no e-mail address"),
        ({"roles": {"captain": {"usergroup": "captains"}}}, "must be a user group's id"),
        ({"tokens": {"alice": "x"}}, "must be an e-mail address"),
        ({"needs": {"flag": []}}, "names no role"),
    ],
)
def test_a_mistake_in_the_section_stops_the_start_with_its_line(town: Town, section, said):
    town.config["permissions"] = section
    with pytest.raises(Exception, match=said) as e:
        town.start()
    assert "captain.yml:" in str(e.value)

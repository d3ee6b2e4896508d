"""The status page: what whoever has the link sees when Slack is down, and what nobody else sees."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from ground.town import Town
from ground.waiting import until
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import Refused
from handlers.status import seal

SECRET = "a-long-random-text-for-links"


@pytest.fixture
def lit(town: Town) -> Town:
    town.config["captain"] |= {"status_secret": SECRET, "public_url": "https://captain.example/"}
    return town


def page(bot, link: str) -> requests.Response:
    """What the link shows, wherever the bot really is."""
    return requests.get(f"{bot.url}{urlsplit(link).path}?{urlsplit(link).query}", timeout=10)


def test_slack_is_down_and_the_page_says_what_is_open_and_what_is_owed(lit: Town, alertmanager_body):
    bot = lit.start()
    link = bot.ask("status")["data"]["link"]
    assert link.startswith("https://captain.example/status?")
    assert "&amp;" not in bot.ask("status")["text"], "on the command line a link must open as it is printed"
    calm = page(bot, link)
    assert (calm.status_code, "Nothing is open" in calm.text) == (200, True)
    lit.slack.faults.breaks("500")
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: lit.pages())
    until(lambda: "PagerDuty ✔" in page(bot, link).text)
    bot.ask("incident ack")
    shown = page(bot, link).text
    bot.ask('incident update "it is <b>warm</b>" --next 30m', "dora")
    shown = page(bot, link).text
    assert "Last update by dora" in shown
    assert "it is &lt;b&gt;warm&lt;/b&gt;" in shown
    assert "Next update by" in shown
    for said in ("INC-1", "docs-api burns its 99.9% budget", "sev2", "acknowledged by", "Still owed", "slack: "):
        assert said in shown, said


def test_the_page_is_kept_framed_and_indexed_by_nobody(lit: Town):
    bot = lit.start()
    answer = page(bot, bot.ask("status --for 10m")["data"]["link"])
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert 'http-equiv="refresh"' in answer.text


def test_a_title_never_becomes_markup(lit: Town):
    bot = lit.start()
    bot.ask('incident open sev3 docs-api "<img src=x onerror=alert(1)> & $title ${body} \u202egnp.x"')
    shown = page(bot, bot.ask("status")["data"]["link"]).text
    assert "<img" not in shown
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; $title ${body}" in shown
    assert "<bdi>" in shown


@pytest.mark.parametrize(
    "query", ["", "?until=9999999999", "?until=9999999999&sig=", "?until=x&sig=ü", "?sig=" + "0" * 64]
)
def test_without_a_good_link_nothing_is_shown_but_how_to_get_one(lit: Town, query):
    bot = lit.start()
    bot.ask('incident open sev3 docs-api "nobody may read this"')
    answer = requests.get(f"{bot.url}/status{query}", timeout=10)
    assert answer.status_code == 403
    assert "captain status" in answer.text
    assert "nobody may read this" not in answer.text


def test_a_link_runs_out_and_its_time_cannot_be_changed(lit: Town):
    bot = lit.start()
    link = bot.ask("status --for 1s")["data"]["link"]
    until(lambda: page(bot, link).status_code == 403)
    assert "has run out" in page(bot, link).text
    longer = link.replace("until=", "until=9")
    assert page(bot, longer).status_code == 403


def test_without_a_secret_the_page_is_off_and_the_verb_says_what_to_set(town: Town):
    bot = town.start()
    assert requests.get(f"{bot.url}/status", timeout=10).status_code == 404
    assert "captain.status_secret" in bot.ask("status")["error"]


@pytest.mark.parametrize("length", ["0s", "8d", "-5m", "soon", "200h", "''"])
def test_a_link_for_too_long_or_for_no_time_is_refused(lit: Town, length):
    assert "--for must be" in lit.start().ask(f"status --for {length}")["error"]


@given(st.text(), st.text(), st.integers(min_value=0, max_value=2**40))
def test_only_what_was_signed_opens(signature, other, at):
    good = {name: values[0] for name, values in parse_qs(urlsplit(seal.link("", SECRET, until=at)).query).items()}
    assert seal.opened(SECRET, good, now=at - 1, ask="x") == at
    for bad in (good | {"sig": signature}, good | {"until": other}, {}):
        if bad != good:
            with pytest.raises(Refused, match="signed link"):
                seal.opened(SECRET, bad, now=0.0, ask="x")
    with pytest.raises(Refused, match="run out"):
        seal.opened(SECRET, good, now=at, ask="x")

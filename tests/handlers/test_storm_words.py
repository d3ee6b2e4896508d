"""What a storm says: counted right, within what Slack takes, and nobody is mentioned by it."""

from __future__ import annotations

import json
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.integrations.slack.fake_blocks import check_blocks
from handlers.catalogue import Storm
from handlers.incidents.words import fitted
from handlers.storms import words
from handlers.storms.table import Tally

nasty = st.text(max_size=200) | st.sampled_from(["<!channel>", "```", "<@U1>", "a\nb", "&" * 400])
tallies = st.builds(Tally, nasty, st.sampled_from(["sev1", "sev2", "sev3"]), st.booleans(), st.integers(1, 9999))


def member(number, text="it burns", service="docs-api"):
    return SimpleNamespace(number=number, severity="sev2", service=service, title=text, status="triggered", umbrella=7)


@settings(deadline=None)
@given(st.lists(tallies, max_size=40), st.lists(st.tuples(nasty, nasty), max_size=20), st.lists(nasty, max_size=40))
def test_whatever_is_folded_slack_takes_the_table_and_nobody_is_mentioned(found, members, services):
    rows = [member(n, text, service) for n, (text, service) in enumerate(members)]
    made = words.table(7, found, rows, {name: n for n, name in enumerate(services)})
    blocks = fitted("a storm", made)[1]
    assert check_blocks(blocks) == []
    assert len(made) <= 3
    for raw in ("<!channel>", "<@U1>"):
        assert raw not in json.dumps(blocks)


@given(st.lists(tallies, min_size=1, max_size=40))
def test_its_title_counts_every_incident_and_every_service_once(found):
    count, services = sum(one.count for one in found), len({one.service for one in found})
    title = words.title(found)
    assert title.split()[1::3] == [str(count), str(services)]
    assert words.OURS.fullmatch(title)


def test_its_first_title_is_ours_and_one_that_a_person_gave_is_not():
    assert words.opening(Storm()) == "Storm: more than 20 incidents in 1 min"
    assert words.OURS.fullmatch(words.opening(Storm()))
    assert not words.OURS.fullmatch("the network of eu-west is down")


def test_the_table_shows_the_most_open_first_and_counts_the_rest():
    found = [
        Tally("gateway", "sev1", True, 3),
        Tally("docs-api", "sev2", True, 40),
        Tally("docs-api", "sev3", False, 2),
    ]
    made = words.table(7, found, [member(n) for n in range(60, 52, -1)], {"billing": 12})
    table, newest, apart = (block["text"]["text"] for block in made)
    assert table.startswith("*43 of 45 incidents are still open*")
    lines = [line.split() for line in table.splitlines()]
    assert lines[2:5] == [
        ["service", "open", "sev1", "sev2", "sev3", "over"],
        ["docs-api", "40", "0", "40", "0", "2"],
        ["gateway", "3", "3", "0", "0", "0"],
    ]
    assert newest.endswith("… and 35 more: `incident show INC-7`")
    assert apart == "*Called by pages of their own:* INC-12 (billing)"


def test_what_stands_for_others_says_so_before_it_is_ended():
    storm = SimpleNamespace(number=7, source="storm", service="docs-api")
    lead = SimpleNamespace(number=8, source="alert", service="gateway")
    assert "1 incident of it is still open" in words.carries(storm, 1)[0]
    assert "2 incidents of gateway in the storm are open and have no page but this one's" in words.carries(lead, 2)[0]
    assert words.carries(lead, 2)[1][1]["elements"][0]["action_id"] == "incident resolve --anyway"

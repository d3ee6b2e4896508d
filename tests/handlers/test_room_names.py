"""What an incident's channel is called is a name that Slack takes, whatever the title is."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from handlers.rooms import rules

NUMBERS = st.integers(min_value=1, max_value=10**9)


@given(NUMBERS, st.text(max_size=80), st.text(max_size=4000), st.integers(min_value=0, max_value=rules.MOST_NAMES))
def test_every_name_is_one_that_slack_takes(number: int, service: str, title: str, again: int):
    made = rules.name(number, service, title, again=again)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", made)
    assert len(made) <= rules.LONGEST
    assert made.startswith(f"inc-{number}")


@given(NUMBERS, st.text(max_size=80), st.text(max_size=4000))
def test_the_names_of_one_channel_differ(number: int, service: str, title: str):
    names = [rules.name(number, service, title, again=n) for n in range(rules.MOST_NAMES)]
    assert len(set(names)) == len(names)


@given(NUMBERS, st.text(max_size=80), st.text(max_size=4000))
def test_a_topic_is_one_line_that_slack_takes(number: int, service: str, title: str):
    said = rules.topic(number, "sev1", " ".join(service.split()), title)
    assert len(said) <= rules.MOST_ABOVE
    assert len(said.splitlines()) == 1


def test_names_read_well():
    assert rules.name(7, "docs-api", "p95 up") == "inc-7-docs-api-p95-up"
    assert rules.name(7, "docs-api", "Zürich: Ölpumpe fällt aus!") == "inc-7-docs-api-zurich-olpumpe-fallt-aus"
    assert rules.name(7, "docs.api", "🔥🔥") == "inc-7-docs-api"
    assert rules.name(7, "docs-api", "الخدمة متوقفة") == "inc-7-docs-api"
    assert rules.name(7, "docs-api", "<!channel> <http://x|y>", again=1) == "inc-7-docs-api-channel-http-x-y-2"

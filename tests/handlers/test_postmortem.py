"""The draft of a post-mortem: whatever people and alerts have written, it stays one readable file."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.incidents import postmortem

NOW = 1_790_000_000.0


def incident(**changes):
    row = {
        "number": 7, "service": "docs-api", "environment": "prod", "severity": "sev2", "title": "it burns",
        "status": "resolved", "source": "person", "about": "{}", "opened_at": NOW, "opened_by": "alice",
        "resolved_at": NOW + 600, "resolved_by": "alice", "test": False, "ticket_key": "", "ticket_url": "", "checks": "",
        "umbrella": None,
    }  # fmt: skip
    return SimpleNamespace(**(row | changes))


def event(n, kind, at, actor="alice", text="x"):
    return SimpleNamespace(id=n, kind=kind, at=NOW + at, actor=actor, text=text)


def drafted(row, events=(), effects=(), flags=(), asked=(), roles=(), more=0):
    return postmortem.draft(postmortem.Facts(row, events, more, effects, flags, asked, roles))


def rows(text):
    """The lines of tables."""
    return [line for line in text.splitlines() if line.startswith("|")]


@given(st.text(max_size=400))
def test_no_text_breaks_a_table_or_opens_markup(text):
    made = postmortem.cell(text)
    assert len(made.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]<>#|~&]", made)


@given(st.text(min_size=1, max_size=300), st.text(max_size=300))
def test_the_draft_has_as_many_lines_whatever_is_said(title, said):
    plain = drafted(incident(), [event(1, "opened", 0)])
    wild = drafted(incident(title=title), [event(1, "opened", 0, text=said)])
    assert len(wild.splitlines()) == len(plain.splitlines())


@pytest.mark.parametrize(
    "title", ["a `b` | c", "x" * 300, "🔥 مرحبا \u202e abc", "# head\n- list", "<script>&amp;", "[a](http://evil)"]
)
def test_titles_arrive_readable(title):
    first = drafted(incident(title=title)).splitlines()[0]
    assert first.startswith("# Post-mortem draft: INC-7 ")
    assert "\u202e" not in first
    bare = re.sub(r"\\(.)", r"\1", first.removeprefix("# Post-mortem draft: INC-7 "))
    assert bare == " ".join(title.replace("\u202e", " ").split())


def test_times_are_measured_or_it_is_said_why_not():
    events = [event(1, "opened", 0), event(2, "paged", 2), event(3, "acknowledged", 62), event(4, "resolved", 600)]
    text = drafted(incident(), events)
    assert "first person | 1 min |" in text
    assert "from the opening | 10 min |" in text
    assert "PagerDuty took no page" in drafted(incident(), [event(1, "opened", 0)])


def test_only_flags_switched_in_the_half_hour_before_are_named():
    def flag(name, on, off):
        said = {"service": "gateway", "asked_by": "bob", "off_by": "", "reason": "a|b"}
        return SimpleNamespace(name=name, on_at=NOW + on, off_at=None if off is None else NOW + off, **said)

    text = drafted(incident(), flags=[flag("bypass", -600, None), flag("slow", -9000, -60)])
    assert "| bypass | gateway | on, by bob | a\\|b |" in text
    assert "| slow | gateway | off, by me |" in text
    assert "slow | gateway | on" not in text
    assert "None." in drafted(incident())


def test_open_questions_come_from_what_happened():
    events = [event(1, "opened", 0), event(2, "paged", 2), event(3, "resolved", 5), event(4, "reopened", 9)]
    asked = postmortem.questions(postmortem.Facts(incident(), events, 0, (), (), (), ()))
    assert any("Nobody acknowledged" in one for one in asked)
    assert any("reopened" in one for one in asked)

"""``why``: what a question means, and that every answer is one Slack takes and nobody is mentioned by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from bot.effects import EFFECTS
from bot.errors import Refused
from bot.inbox import INBOX
from bot.integrations.slack.fake_blocks import check_blocks
from bot.refusals import REFUSALS
from bot.store import Store
from handlers.alerts.journal import JOURNAL
from handlers.incidents.table import INCIDENTS
from handlers.why import find, words
from handlers.why.what import ByName, ByNumber, ByTime, read

NOW = 1795615500.0  # 2026-11-25T14:05:00Z
DAY = 86400.0


def around(hours: float) -> tuple[float, float]:
    at = NOW + hours * 3600
    return at - 300, at + 300


@pytest.mark.parametrize("text", ["INC-12", "inc12", "12", "#12", "inc 12", "incident 12", "`INC-12`", " *INC-12* "])
def test_an_incident_is_named_by_its_number(text):
    assert read(text.split(" "), NOW) == ByNumber(12)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("", NOW - 3600, NOW),
        ("14:05", *around(0)),
        ("14:05Z", *around(0)),
        ("14:05 utc", *around(0)),
        ("16:05+02:00", *around(0)),
        ("9:05", *around(-5)),
        ("09:05:00", *around(-5)),
        ("15:05", *around(-23)),
        ("yesterday 14:05", *around(-24)),
        ("today 14:00", *around(-1 / 12)),
        ("2026-11-25T14:05Z", *around(0)),
        ("2026-11-25t14:05z", *around(0)),
        ("2026-11-25 14:05", *around(0)),
        ("2026-11-25T14:05:00.000+00:00", *around(0)),
        ("2026-11-25 09:05 -05:00", *around(0)),
        ("2026-11-24T14:05Z", *around(-24)),
        ("1795615500", *around(0)),
        ("10m", *around(-1 / 6)),
        ("10 min ago", *around(-1 / 6)),
        ("90s", *around(-0.025)),
        ("2h", *around(-2)),
        ("1d", *around(-24)),
        ("last 2h", NOW - 7200, NOW),
        ("last 15 minutes", NOW - 900, NOW),
        ("last hour", NOW - 3600, NOW),
        ("2026-11-24", NOW - 14 * 3600 - 300 - DAY, NOW - 14 * 3600 - 300),
        ("yesterday", NOW - 14 * 3600 - 300 - DAY, NOW - 14 * 3600 - 300),
        ("today", NOW - 14 * 3600 - 300, NOW - 14 * 3600 - 300 + DAY),
    ],
)
def test_a_time_is_utc_and_five_minutes_to_either_side(text, start, end):
    asked = read(text.split(" "), NOW)
    assert isinstance(asked, ByTime)
    assert (asked.start, asked.end) == pytest.approx((start, end))


@pytest.mark.parametrize(
    "text",
    ["SLOBurnFast", "docs-api", "2ced3b083f120737", "1234567890123456", "p95 up", "m", "last", "10.0.0.1:9090", "agó"],
)
def test_everything_else_is_a_name(text):
    assert read(text.split(" "), NOW) == ByName(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("25:00", "'25:00' is not a time I can read. Say 14:05"),
        ("14:5x", "is not a time I can read"),
        ("2026-13-45", "is not a time I can read"),
        ("2026-1-5", "is not a time I can read"),
        ("2026-11-25 lunch", "is not a time I can read"),
        ("2026-11-26T14:05Z", "is still to come: it is 14:05 UTC now"),
        ("2026-11-27", "is still to come"),
        ("1995615500", "is still to come"),
        ("999999d", "is too long ago"),
        ("last 999999d", "is too long ago"),
        ("1950-01-01", "is too long ago"),
        ("0001-01-01T00:00Z", "is too long ago"),
        ("0001-01-01T00:00+14:00", "is not a time I can read"),
        ("x" * 500, "That is 500 characters long"),
    ],
)
def test_what_cannot_be_a_question_says_what_to_do(text, said):
    with pytest.raises(Refused) as caught:
        read([text], NOW)
    assert said in str(caught.value)


moments = st.from_regex(
    r"(today |yesterday |last )?[0-9]{1,7}([:dhms-][0-9]{0,3}){0,4}([TZ+ ][0-9:]{0,6})?", fullmatch=True
)


@given(st.lists(st.one_of(st.text(max_size=30), moments), max_size=4), st.floats(0, 4e9))
def test_any_question_is_understood_or_refused(given_, now):
    """Nothing a person types breaks the bot, and a window is never turned round or without an end."""
    try:
        asked = read(given_, now)
    except Refused as e:
        assert str(e)
    else:
        if isinstance(asked, ByTime):
            assert 0 < asked.end - asked.start < now + 2 * DAY
            assert words.window(asked, find.Window((), (), (), (), (), ()), now)[0]


# ---- what is said ---------------------------------------------------------------------------------------------------

nasty = st.one_of(
    st.text(max_size=300), st.sampled_from(["<!channel>", "*x* `y` _z_", "<@U1>", "x" * 10_000, "", "a\nb"])
)


def record(**values):
    return SimpleNamespace(**values, _mapping=values)


def alert_row(name, verdict, **more):
    labels = json.dumps({"alertname": name, "x": verdict})
    return record(
        id=1, received_at=NOW, status="firing", fingerprint="2ced", service="docs-api", labels=labels, verdict=verdict,
        repeats=3, seen_at=NOW + 9, **more,
    )  # fmt: skip


def incident_row(**changes):
    row = {
        "number": 7, "uid": "u", "service": "docs-api", "environment": "prod", "severity": "sev2", "title": "it burns",
        "status": "triggered", "source": "person", "about": "{}", "opened_at": NOW, "opened_by": "x", "acked_by": "",
        "acked_at": None, "resolved_at": None, "paged_at": NOW, "reopened_at": None, "umbrella": None,
    }  # fmt: skip
    return record(**(row | changes))


def harmless(told: tuple[str, list[dict]]) -> None:
    text, blocks = told
    assert check_blocks(blocks) == []
    assert len(text) <= 4000
    for raw in ("<!channel>", "<@U1>"):
        assert raw not in text
        assert raw not in json.dumps(blocks)


@given(st.lists(st.tuples(nasty, nasty, nasty), max_size=15), nasty)
def test_whatever_was_sent_slack_takes_it_and_nobody_is_mentioned(rows, name):
    alerts = [alert_row(a, b) for a, b, _ in rows]
    refusals = [
        record(
            received_at=NOW,
            source="alertmanager",
            status=422,
            reason=a,
            payload=json.dumps({"labels": {"alertname": b}}),
        )
        for a, b, _ in rows
    ]
    events = [
        record(received_at=NOW, verdict=a, payload=json.dumps({"event": {"type": b, "agent": c, "dedup_key": ""}}))
        for a, b, c in rows
    ]
    by_hand = [(incident_row(opened_by=a, title=b), c) for a, b, c in rows]
    owed = [
        record(kind="page", about=7, state=state, attempt=2, reason=a, due_at=NOW, created_at=NOW, done_at=NOW)
        for (a, _, _), state in zip(rows, ["gave_up", "retrying", "done", "skipped", "owed", "waiting"], strict=False)
    ]
    happened = [record(kind="acknowledged", at=NOW, actor=a, text=b) for a, b, _ in rows]
    paged = [row for row, _ in by_hand[:6]]
    seen = find.Window(alerts, refusals[:8], events[:5], paged, by_hand[:5], alerts[:5], owed, {"alerts": 9})
    harmless(words.window(ByTime(NOW, NOW + 1, "around 14:05 UTC"), seen, NOW))
    harmless(words.matches(ByName(name), find.Matches(alerts[:10], refusals, by_hand[:5], owed, 3), name, NOW))
    for first in owed or [None]:
        effects = [first] if first else []
        harmless(words.story(find.Story(incident_row(title=name), alerts[:10], 2, effects, happened, events), NOW))


def test_a_window_full_of_long_alerts_is_shown_to_its_last_line():
    alerts = [alert_row("A" * 100, "opened INC-1 and pages the on-call of docs-api: " + "severity " * 30)] * 15
    seen = find.Window(alerts, (), (), (), (), (), (), {"alerts": 985, "pages": 2})
    _, blocks = words.window(ByTime(NOW, NOW + 1, "around 14:05 UTC"), seen, NOW)
    assert "… and 985 more alerts, 2 more pages" in json.dumps(blocks, ensure_ascii=False)


# ---- what is found --------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/bot.db")
    made.migrate()
    yield made
    made.close()


def fill(store: Store, count: int, **changes) -> None:
    """Alerts of one incident, a second apart; the first opened it."""
    base = {
        "status": "firing", "service": "docs-api", "annotations": "{}", "group_key": "", "starts_at": 1, "incident": 1,
        "labels": json.dumps({"alertname": "Burn", "service": "docs-api"}), "repeats": 0,
    } | changes  # fmt: skip
    rows = [
        {
            **base,
            "received_at": NOW + n,
            "fingerprint": f"{base.get('fingerprint', '')}{n:08x}",
            "verdict": "joined INC-1, pages nobody again: PagerDuty has its page already"
            if n
            else "opened INC-1, pages nobody: x",
        }
        for n in range(count)
    ]
    with store.write() as c:
        c.execute(JOURNAL().insert(), rows)


def test_of_a_storm_the_alert_that_opened_it_is_shown_first(store: Store):
    fill(store, 500)
    with store.read() as c:
        found = find.window(c, NOW - 10, NOW + 1000)
    assert found.alerts[0].verdict.startswith("opened")
    assert len(found.alerts) == find.SHOWN_ALERTS
    assert found.more == {"alerts": 500 - find.SHOWN_ALERTS}


def test_an_alert_sent_again_in_the_window_is_found_though_it_came_before(store: Store):
    fill(store, 3, repeats=4, seen_at=NOW + 1000)
    with store.read() as c:
        found = find.window(c, NOW + 900, NOW + 1100)
        assert len(found.again) == 3
        assert not found.alerts
        assert find.window(c, NOW + 1100, NOW + 1200).empty


def test_a_name_means_the_whole_before_a_part_and_never_a_labels_own_name(store: Store):
    fill(store, 2)
    labels = {"alertname": "Other", "slo": "docs-api-availability", "who": 'say "hi" 100%_\\'}
    fill(store, 1, labels=json.dumps(labels, ensure_ascii=False), service="gateway", fingerprint="ff")
    for text, names in (
        ("docs-api", {"Burn"}),
        ("DOCS-API", {"Burn"}),
        ("docs-api-av", {"Other"}),
        ("burn", {"Burn"}),
        ("gateway", {"Other"}),
        ('say "hi" 100%_\\', {"Other"}),
        ("100%", {"Other"}),
        ("alertname", set()),
        ("%", {"Other"}),
        ("ff00000000", {"Other"}),
        ("FF00000000", {"Other"}),
    ):
        with store.read() as c:
            found = find.named(c, text, NOW + 10)
        assert {json.loads(row.labels)["alertname"] for row in found.alerts} == names, text


def test_what_is_looked_at_has_an_end_and_an_index(store: Store):
    """However long the history, a question searches a bounded part of it, found through an index."""
    seen: list[tuple[str, object]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        seen.append((statement, parameters))

    fill(store, 30)
    sa.event.listen(store.engine, "before_cursor_execute", note)
    with store.read() as c:
        find.window(c, NOW, NOW + 600)
        find.named(c, "docs-api", NOW)
        find.named(c, "2ced3b083f120737", NOW)
        assert find.story(c, 1) is None
    with store.write() as c:
        row = {"number": 1, "uid": "u", "key": "k", "service": "docs-api", "environment": "prod", "severity": "sev2",
               "title": "t", "status": "triggered", "source": "alert", "about": "{}", "opened_at": NOW, "opened_by": "x",
               "acked_by": "", "resolved_by": "", "channel": "", "thread_ts": "", "ticket_key": "", "ticket_url": "",
               "checks": "", "panel": 0, "panel_owed": False}  # fmt: skip
        c.execute(INCIDENTS().insert(), row)
    with store.read() as c:
        assert find.story(c, 1).more == 30 - find.LATEST // 2 - 1
    sa.event.remove(store.engine, "before_cursor_execute", note)
    tables = [t.name for t in (JOURNAL(), REFUSALS(), INBOX(), INCIDENTS(), EFFECTS())]
    with store.read() as c:
        for statement, parameters in seen:
            if statement.lstrip().upper().startswith("SELECT"):
                plan = c.exec_driver_sql(f"explain query plan {statement}", parameters).all()
                scans = [step[3] for step in plan if any(step[3].startswith(f"SCAN {name}") for name in tables)]
                assert scans == [], statement

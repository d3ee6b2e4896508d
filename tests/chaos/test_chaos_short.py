"""The short form of `make chaos`: a handful of kills on each database, and a judge that is lied to."""

from __future__ import annotations

import json

import pytest
from chaos import run
from chaos.run import Suite
from chaos.tally import Tally
from chaos.tamper import TAMPERS

WAITS = pytest.mark.timeout(600)
"""These wait for events, however busy the machine is; nothing here measures time."""


TOLD = (
    "lost", "duplicate_pages", "duplicate_tickets", "duplicate_roots", "duplicate_notes", "untrue_panels", "left_on",
)  # fmt: skip
"""The counts of what is wrong."""


@pytest.fixture
def suite(tmp_path, request):
    """``suite(kills, *kinds)``: the tally of so many kills of these kinds on one stage."""

    def made(kills: int, *kinds: str, server=None, **more) -> Tally:
        tally = Tally("postgresql" if server else "sqlite")
        Suite(tmp_path, tally, 1, kills, kinds, print, server, **more).run(1)
        return tally

    return made


@WAITS
def test_killed_at_its_page_on_sqlite_it_pages_once(suite):
    tally = suite(2, "page")
    assert (tally.kills, tally.incidents, tally.violations) == (2, 6, [])
    assert sorted(tally.rows) == ["page after", "page before"]
    assert all(row.recoveries[0] > 0 for row in tally.rows.values())


@WAITS
@pytest.mark.slow
def test_killed_at_its_message_on_postgresql_another_replica_posts_it_once(suite, postgres_server):
    tally = suite(2, "root", server=postgres_server)
    assert (tally.kills, tally.incidents, tally.violations) == (2, 6, [])
    assert all(0 < row.takeovers[0] <= row.recoveries[0] for row in tally.rows.values())


@WAITS
@pytest.mark.slow
def test_killed_while_it_switches_a_flag_off_nothing_is_left_on(suite):
    tally = suite(1, "flag-undo")
    assert (tally.kills, tally.incidents, tally.violations) == (1, 3, [])


@WAITS
@pytest.mark.slow
def test_killed_at_random_under_load_nothing_is_lost_or_doubled(suite, postgres_server):
    tally = suite(2, "storm", server=postgres_server)
    assert tally.kills == 2
    assert tally.incidents > 0
    assert tally.violations == []


@WAITS
@pytest.mark.slow
def test_every_falsification_is_found_and_is_an_error(tmp_path, capsys):
    out = tmp_path / "chaos.json"
    arguments = ["--tamper", "--database", "sqlite", "--only", "root", "--kills", "1", "--out", str(out)]
    assert run.main(arguments) == 1
    told = json.loads(out.read_text())["sqlite"]
    assert told["overlooked"] == []
    assert {tamper.wrong.value for tamper in TAMPERS} == {name for name in TOLD if told[name]}
    assert "WRONG" in capsys.readouterr().out


def test_what_is_overlooked_is_worse_than_what_is_wrong():
    tally = Tally("sqlite")
    tally.judged([], incidents=1, overlooked=["a page twice"])
    assert run.verdict([tally]) == 2


def test_an_unknown_point_is_named(capsys):
    with pytest.raises(SystemExit):
        run.main(["--only", "pge"])
    assert "there is no pge; choose from page, root" in capsys.readouterr().err

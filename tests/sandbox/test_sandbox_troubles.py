"""Every shipped runbook in the sandbox's world: PASS while it is calm, and each trouble is found by the right check."""

from __future__ import annotations

import pytest
from ground.waiting import until
from typer.testing import CliRunner

from bot.errors import Refused
from bot.integrations import connect
from bot.sandbox.cli import sandbox_app
from bot.sandbox.run import Sandbox
from bot.sandbox.troubles import TROUBLES
from bot.settings import load
from handlers.checks import looks as looks_of
from handlers.desk import Outside
from runbooks import Outcome, run, shipped

WITHOUT_THE_BOT = sorted(shipped().keys() - {"self"})
"""The bot of this folder is a pretend one; the real one is looked at in tests/stories."""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory, bot_command):
    """One of its own: nothing burns in it but what is made here."""
    made = Sandbox(tmp_path_factory.mktemp("troubles"), port=0, bot_command=bot_command)
    made.start()
    try:
        assert made.bot.wait_ready(20), made.bot.tail()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def captain(sandbox):
    """The settings and the runbooks as the sandbox's captain.yml has them."""
    return load(sandbox.data / "captain.yml", {})


@pytest.fixture(scope="module")
def books(captain):
    return captain[1]


@pytest.fixture(scope="module")
def looks(captain, books):
    settings = captain[0]
    metrics = connect.prometheus(settings.prometheus)
    outside = Outside(
        chat=connect.slack(settings.slack),
        pager=connect.pagerduty(settings.pagerduty),
        tracker=connect.jira(settings.jira),
        metrics=metrics,
        alerts=connect.alertmanager(settings.alertmanager),
        cluster=connect.kubernetes(settings.kubernetes),
    )
    made = looks_of(outside)
    until(lambda: run(books["gateway"], {}, made).outcome is Outcome.PASS, message="its deployments are not rolled out")
    until(lambda: metrics.query('up{job="release-captain"} == 1').samples, message="the bot is not scraped")
    return made


@pytest.fixture
def look(books, looks):
    """``look(runbook)`` gives its report and its results by the checks' names."""

    def ask(name):
        report = run(books[name], {}, looks)
        return report, {r.name: r for r in report.results}

    return ask


@pytest.mark.parametrize("name", WITHOUT_THE_BOT)
def test_a_calm_sandbox_passes_every_check_of_every_shipped_runbook(look, name):
    report, found = look(name)
    assert {n: (r.outcome, r.detail) for n, r in found.items() if r.outcome is not Outcome.PASS} == {}
    assert report.outcome is Outcome.PASS


@pytest.mark.parametrize("trouble", [name for name, one in TROUBLES.items() if one.check])
def test_a_trouble_is_found_by_its_check_with_a_number_and_what_to_do(there, look, trouble):
    one = TROUBLES[trouble]
    there.act("trouble", {"name": trouble})
    report, found = look(one.runbook)
    assert report.outcome is Outcome.FAIL
    failed = found[one.check]
    assert failed.outcome is Outcome.FAIL, failed.detail
    assert failed.value
    assert failed.threshold
    assert failed.hint
    there.act("trouble", {"name": trouble, "over": True})
    assert look(one.runbook)[0].outcome is Outcome.PASS


@pytest.mark.parametrize("trouble", [name for name, one in TROUBLES.items() if not one.check])
def test_what_nobody_measures_never_passes(there, look, trouble):
    there.act("trouble", {"name": trouble})
    report, found = look(TROUBLES[trouble].runbook)
    assert report.outcome is Outcome.NO_DATA, report
    assert {r.outcome for r in found.values()} == {Outcome.NO_DATA}


def test_a_caller_in_the_clear_is_named(there, look):
    there.act("trouble", {"name": "plaintext"})
    _, found = look("gateway-docs-api")
    assert found["share of mTLS"].outcome is Outcome.FAIL
    assert 'source_principal="unknown"' in found["whom STRICT would shut out"].detail
    assert "not mutual TLS: prod/gateway (" in found["identities"].detail


def test_an_identity_that_is_not_registered_is_named(there, look):
    there.act("trouble", {"name": "strange-identity"})
    _, found = look("gateway-docs-api")
    assert "spiffe://prod.example.org/ns/prod/sa/gateway-old" in found["identities"].detail
    assert found["share of mTLS"].outcome is Outcome.PASS


@pytest.mark.parametrize("system", ["slack", "pagerduty", "jira", "prometheus", "alertmanager", "kubernetes"])
def test_a_system_that_does_not_answer_is_found(there, look, system):
    there.act("break", {"service": system, "mode": "503"})
    report, found = look("systems")
    assert report.outcome is Outcome.FAIL
    assert [name.lower() for name, r in found.items() if r.outcome is not Outcome.PASS] == [system]


def test_a_silent_path_is_no_proof(there, sandbox, look):
    sandbox.world.prometheus.set_world("docs-api", rps=0.0, ago=1200)
    try:
        report, found = look("gateway-docs-api")
    finally:
        sandbox.world.prometheus.services.held["docs-api"].always({"rps": 50.0})
    assert report.outcome is not Outcome.PASS
    blocking = {r.outcome for r in found.values() if r.severity == "blocking"}
    assert blocking <= {Outcome.INCONCLUSIVE, Outcome.NO_DATA}


def test_an_endpoint_that_hangs_up_is_a_failure(there, look):
    there.act("break", {"service": "services", "mode": "503", "only": "/audit"})
    assert look("audit-stream")[1]["last event"].outcome is Outcome.FAIL
    assert look("health-endpoints")[0].outcome is Outcome.PASS


def test_troubles_end_one_by_one_and_all_with_mend(there, look):
    for name in ("cache-cold", "cache-unseen", "spire-unseen"):
        there.act("trouble", {"name": name})
    there.act("trouble", {"name": "cache-unseen", "over": True})
    on = [row["name"] for row in there.state()["world"]["troubles"] if row["on"]]
    assert on == ["cache-cold", "spire-unseen"]
    assert look("cache")[1]["hit ratio"].outcome is Outcome.FAIL
    assert look("spire")[0].outcome is Outcome.NO_DATA
    there.act("mend", {})
    assert not any(row["on"] for row in there.state()["world"]["troubles"])
    assert look("cache")[0].outcome is Outcome.PASS


def test_an_unknown_trouble_is_refused_with_the_list(there):
    with pytest.raises(Refused, match="There is no trouble 'plaintex'; there are gateway-unwell"):
        there.act("trouble", {"name": "plaintex"})


def test_the_command_line_lists_and_makes_them(there, sandbox):
    def captain(*words):
        return CliRunner().invoke(sandbox_app(), [*words, "--port", str(sandbox.port)]).output

    assert "plaintext" in captain("trouble")
    assert captain("trouble", "cache-cold") == "Trouble: cache-cold\n"
    assert "trouble     cache-cold: the cache is cold" in captain("state")
    assert captain("trouble", "--over") == "Every trouble is over\n"

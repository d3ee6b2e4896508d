"""captain.yml: a mistake stops the start with file, line, what is wrong and the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import ConfigError
from bot.settings import load

GOOD = """\
captain:
  database: sqlite:///bot.db
alertmanager:
  webhook_secret: s3cret
pagerduty: {}
services:
  docs-api:
    channel: "#docs-api"
    pagerduty: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    runbook: docs-api
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "captain.yml"
    path.write_text(text)
    return path


def mistake(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> str:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    return str(caught.value).replace(str(path), "captain.yml")


FLAGGED = """\
kubernetes: {}
flags:
  gateway-bypass:
    service: docs-api
    object: {kind: configmap, namespace: prod, name: gateway-flags, key: bypass}
    on: "true"
"""


def test_a_flag_is_read_and_on_is_no_yaml_truth(tmp_path):
    settings, _ = load(write(tmp_path, GOOD + FLAGGED), {})
    flag = settings.flags["gateway-bypass"]
    assert (flag.on, flag.off, flag.longest) == ("true", None, 3600)
    assert str(flag.object) == "configmap prod/gateway-flags, key bypass"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("service: docs-api", "service: docs-ap", "flags.gateway-bypass.service: 'docs-ap' is not a service. Did you mean 'docs-api'?"),
        ("kubernetes: {}\n", "", "flags.gateway-bypass: there is no kubernetes: section"),
        ('on: "true"', "on: true", 'flags.gateway-bypass.on: must be text; put it in quotes: "true"'),
        ('on: "true"', 'on: "true"\n    off: "true"', "flags.gateway-bypass: on and off are the same"),
        ("kind: configmap", "kind: configmp", "flags.gateway-bypass.object.kind: a flag cannot stand in this kind. Did you mean 'configmap'?"),
        (", key: bypass", "", "flags.gateway-bypass.object: a configmap needs a key"),
        ("key: bypass", "key: by/pass", "key must be made of letters"),
        ("name: gateway-flags", "name: Gateway", "must be the name of a Kubernetes object"),
        ("gateway-bypass:", "Gateway:", "flags.Gateway: a flag's name has small letters"),
        ('on: "true"', 'on: "true"\n    longest: 9999999', "flags.gateway-bypass.longest: input should be less than or equal to 604800"),
        ('on: "true"', 'on: "true"\n    longst: 1', "flags.gateway-bypass.longst is not known here. Did you mean 'longest'?"),
        ('on: "true"\n', 'on: "true"\n  other: {service: docs-api, on: "1", object: {kind: configmap, namespace: prod, name: gateway-flags, key: bypass}}\n', "flags.other.object: the flag 'gateway-bypass' stands there already"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_flag_is_said_with_its_place(tmp_path, old, new, said):
    text = mistake(
        tmp_path, (GOOD + FLAGGED).replace(old, new) if old != "service: docs-api" else GOOD + FLAGGED.replace(old, new)
    )
    assert said in text, text


def test_a_runbook_is_given_its_addresses(tmp_path):
    given = "runbooks:\n  parameters:\n    health-endpoints: {gateway: 'http://here', max_latency_ms: 50}\n"
    _, runbooks = load(write(tmp_path, GOOD + given), {})
    found = runbooks["health-endpoints"]
    assert (found.parameters["gateway"], found.parameters["max_latency_ms"]) == ("http://here", "50")
    assert found.declared["gateway"].default == "http://here"
    assert found.parameters["path"] == "health"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{health-endpoint: {path: x}}", "there is no runbook 'health-endpoint'. Did you mean 'health-endpoints'?"),
        ("{cache: {windw: 5m}}", "the runbook cache has no parameter 'windw'. Did you mean 'window'?"),
    ],
)
def test_what_fits_no_runbook_is_said_with_its_place(tmp_path, given, said):
    text = mistake(tmp_path, f"{GOOD}runbooks:\n  parameters: {given}\n")
    assert ": runbooks.parameters." in text
    assert said in text


def test_a_right_file_is_read(tmp_path):
    settings, runbooks = load(write(tmp_path, GOOD), {})
    assert settings.services["docs-api"].channel == "#docs-api"
    assert "docs-api" in runbooks


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    channel:", "    chanel:", "captain.yml:8: services.docs-api.chanel is not known here. Did you mean 'channel'?"),
        ("alertmanager:", "alertmanger:", "captain.yml:3: alertmanger is not known here. Did you mean 'alertmanager'?"),
        ("runbook: docs-api", "runbook: docs-ap", "captain.yml:10: services.docs-api.runbook: there is no runbook 'docs-ap'. Did you mean 'docs-api'?"),
        ('"#docs-api"', "docs api", "captain.yml:8: services.docs-api.channel: must be a channel id"),
        ("a" * 32, "short", "captain.yml:9: services.docs-api.pagerduty: must be an Events API v2 routing key"),
        ("  webhook_secret: s3cret", "  {}", "captain.yml:3: alertmanager.webhook_secret is missing"),
        ("pagerduty: {}\n", "", "captain.yml:8: services.docs-api.pagerduty: is set, but there is no pagerduty: section"),
        ("  webhook_secret: s3cret", "  webhook_secret: s\n  receiver: us", "captain.yml:5: alertmanager.receiver: is set, but not alertmanager.url"),
        ("sqlite:///bot.db", "sqlite:///bot.db\n  listen: nowhere", "captain.yml:3: captain.listen: must be ADDRESS:PORT"),
        ("captain:", "captain: [", "captain.yml:3: not valid YAML"),
        ("pagerduty: {}", "captain: {}", "captain.yml:5: 'captain' stands here twice; the first is on line 1"),
        ("    runbook: docs-api", "    runbook: *x", "captain.yml:10: aliases (*x) are not used here"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_line(tmp_path, old, new, said):
    assert said in mistake(tmp_path, GOOD.replace(old, new))


def test_every_mistake_is_said_at_once(tmp_path):
    text = mistake(tmp_path, GOOD.replace("channel:", "chanel:").replace("database:", "databse:"))
    assert "databse" in text
    assert "chanel" in text
    assert "services.docs-api.channel is missing" in text


def test_a_secret_is_never_shown_in_a_mistake(tmp_path):
    assert "sooo-secret" not in mistake(tmp_path, GOOD.replace("a" * 32, "sooo-secret"))


def test_values_come_from_the_environment(tmp_path):
    text = GOOD.replace("s3cret", "${AM_SECRET}")
    settings, _ = load(write(tmp_path, text), {"AM_SECRET": "from-env"})
    assert settings.alertmanager.webhook_secret.get_secret_value() == "from-env"
    assert "captain.yml:4: alertmanager.webhook_secret needs the environment variable AM_SECRET" in mistake(
        tmp_path, text
    )
    settings, _ = load(write(tmp_path, GOOD.replace("s3cret", "${AM_SECRET:-fallback}")), {})
    assert settings.alertmanager.webhook_secret.get_secret_value() == "fallback"


def test_one_field_is_overridden_by_the_environment(tmp_path):
    settings, _ = load(
        write(tmp_path, GOOD), {"CAPTAIN_PAGERDUTY__EVENTS_URL": "http://127.0.0.1:1", "CAPTAIN_CONFIG": "x"}
    )
    assert settings.pagerduty.events_url == "http://127.0.0.1:1"


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="does not exist; name your captain.yml with --config"):
        load(tmp_path / "nowhere.yml", {})


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b\n", "\0"])
def test_a_file_of_another_kind_is_refused(tmp_path, text):
    assert mistake(tmp_path, text).startswith("captain.yml")


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "nonsense"])
def test_a_database_we_cannot_use_is_refused(url):
    from bot.store import sqlite_path

    with pytest.raises(ConfigError, match=r"captain\.database"):
        sqlite_path(url)


WATCHED = (
    GOOD
    + """\
watchdogs:
  mesh:
    service: docs-api
    within: 600
heartbeat:
  url: https://hc-ping.com/sooo-secret
"""
)


def test_switches_are_read(tmp_path):
    settings, _ = load(write(tmp_path, WATCHED), {})
    assert settings.watchdogs["mesh"].alertname == "Watchdog"
    assert settings.heartbeat.every == 60


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("service: docs-api", "service: docs-ap", "captain.yml:13: watchdogs.mesh.service: 'docs-ap' is not a service. Did you mean 'docs-api'?"),
        ("within: 600", "within: 30", "captain.yml:14: watchdogs.mesh.within: input should be greater than or equal to 60 (it is 30)"),
        ("within: 600", "whithin: 600", "captain.yml:14: watchdogs.mesh.whithin is not known here. Did you mean 'within'?"),
        ("  mesh:", "  a mesh:", "captain.yml:12: watchdogs.a mesh: must be named with at most 63 letters"),
        ("alertmanager:\n  webhook_secret: s3cret\n", "", "captain.yml:9: watchdogs: are set, but there is no alertmanager: section"),
        ("    pagerduty: " + "a" * 32 + "\n", "", "captain.yml:12: watchdogs.mesh.service: services.docs-api.pagerduty is not set: the watchdog's silence would page nobody"),
        ("https://hc-ping.com/", "", "captain.yml:16: heartbeat.url: must be an address such as https://hc-ping.com/your-uuid"),
        ("heartbeat:", "heartbeat:\n  every: 90", "captain.yml:16: heartbeat.every: input should be a multiple of 60 (it is 90)"),
    ],
)  # fmt: skip
def test_a_switch_that_could_not_work_is_said_with_its_line(tmp_path, old, new, said):
    text = mistake(tmp_path, WATCHED.replace(old, new))
    assert said in text
    assert "sooo-secret" not in text

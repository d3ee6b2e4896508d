"""The shipped queries as the real Prometheus answers them, over two hours of the stand-in's world written into its storage."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from ground.waiting import free_port, until

from bot.errors import GiveUp, Retry
from bot.integrations.prometheus import PrometheusSettings
from bot.integrations.prometheus.client import PrometheusClient
from bot.integrations.prometheus.fake import FakePrometheus
from bot.integrations.prometheus.fake_series import number
from bot.sandbox.troubles import TROUBLES
from bot.standin import CallLog
from runbooks import Looks, Outcome, run, shipped

BOOKS = ("alertmanager", "audit-stream", "cache", "gateway-docs-api", "preview-seeding", "prometheus", "spire")
WRONG = {
    "plaintext",
    "strange-identity",
    "handshakes-fail",
    "agent-down",
    "svids-stale",
    "ca-ending",
    "cache-cold",
    "cache-full",
    "cache-slow",
    "audit-silent",
    "seeding-stuck",
    "unmasked",
    "rules-fail",
    "clock-off",
    "not-delivered",
    "not-loaded",
}

pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="no Prometheus here: apt-get install prometheus",
)


def openmetrics(world, *, since):
    """Everything the world has scraped, as promtool takes it: a family's samples together, and # EOF."""
    families = {}
    end = int(world.clock() * 1000)
    for source in world.sources:
        for labels, points in source.select(()):
            pairs = dict(labels)
            name = pairs.pop("__name__")
            if "_bucket" in name:
                continue
            shown = ",".join(f'{k}="{v}"' for k, v in pairs.items())
            rows = families.setdefault(name, [])
            rows += [f"{name}{{{shown}}} {number(v)} {at / 1000:.3f}" for at, v in points(end - since * 1000, end)]
    for name, rows in families.items():
        yield f"# TYPE {name} unknown"
        yield from rows
    yield "# EOF"


@pytest.fixture
def real(tmp_path):
    """``real(world)``: a client of a real Prometheus that holds what the world scraped."""
    running = []

    def start(world):
        text, blocks = tmp_path / "world.om", tmp_path / "blocks"
        text.write_text("\n".join(openmetrics(world, since=7200)) + "\n", encoding="utf-8")
        made = subprocess.run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(blocks)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        config = tmp_path / "prometheus.yml"
        config.write_text("global: {}\n", encoding="utf-8")
        port = free_port()
        with (tmp_path / "prometheus.log").open("w") as log:
            process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={blocks}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        client = PrometheusClient(PrometheusSettings(url=f"http://127.0.0.1:{port}"))
        running.append((process, client))
        until(lambda: answers(client), timeout=30, message="Prometheus does not come up")
        return client

    yield start
    for process, client in running:
        client.close()
        process.terminate()
        process.wait(15)


def answers(client):
    try:
        return client.query("up").samples
    except (Retry, GiveUp):
        return ()


def results(client):
    """(runbook, check) to result, of everything that is asked of Prometheus."""
    found = {}
    for name in BOOKS:
        for result in run(shipped()[name], {}, Looks(metrics=client)).results:
            if result.kind in ("promql", "spiffe"):
                found[name, result.name] = result
    return found


def test_a_calm_world_passes(real):
    world = FakePrometheus(CallLog(), scrape_s=15, around=True)
    found = results(real(world))
    assert len(found) > 45
    assert {key: r.detail for key, r in found.items() if r.outcome is not Outcome.PASS} == {}


def test_each_trouble_is_found(real):
    world = FakePrometheus(CallLog(), scrape_s=15, around=True)
    for name in WRONG:
        trouble = TROUBLES[name]
        world.set_around(ago=1800, **trouble.around)
        if trouble.path:
            world.set_world("docs-api", ago=1800, **trouble.path)
    found = results(real(world))
    wanted = {(TROUBLES[name].runbook, TROUBLES[name].check) for name in WRONG}
    assert {key: r.detail for key, r in found.items() if key in wanted and r.outcome is not Outcome.FAIL} == {}


def test_nothing_at_all_never_passes(real):
    world = FakePrometheus(CallLog(), scrape_s=15)
    for service in ("docs-api", "gateway"):
        world.set_world(service, up=False, ago=7000)
    found = results(real(world))
    passed = {key for key, r in found.items() if r.outcome is Outcome.PASS}
    assert passed == set()
    assert {r.outcome for key, r in found.items() if key[0] == "spire"} == {Outcome.NO_DATA}

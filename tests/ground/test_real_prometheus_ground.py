"""The real Prometheus the tests stand on: a burn that is set arrives as a webhook, and its end too."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ground.real_prometheus import Exporter, StartPrometheus, missing_binaries, started
from ground.waiting import until


class Collector:
    """Takes webhooks as the bot would, and keeps what came and with which Authorization."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        collector = self

        class Hook(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                collector.got.append((self.headers["Authorization"], body))
                self.send_response(202)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks/alertmanager"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def alerts(self, name: str, status: str) -> list[dict[str, Any]]:
        alerts = [alert for _, body in self.got for alert in body["alerts"]]
        return [alert for alert in alerts if alert["labels"]["alertname"] == name and alert["status"] == status]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join(5)


@pytest.mark.slow
def test_a_burn_is_told_and_its_end_too(real_prometheus: StartPrometheus, collector: Collector):
    prometheus = real_prometheus(webhook=collector.url, bearer="pretend-secret")
    prometheus.set(err=0.3)
    fired = until(lambda: collector.alerts("SLOBurnFast", "firing"), timeout=30, message="no burn was told")
    assert fired[0]["labels"]["severity"] == "page"
    assert fired[0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert {authorization for authorization, _ in collector.got} == {"Bearer pretend-secret"}
    prometheus.set(err=0.0)
    ended = until(lambda: collector.alerts("SLOBurnFast", "resolved"), timeout=45, message="its end was not told")
    assert ended[0]["fingerprint"] == fired[0]["fingerprint"]
    assert ended[0]["startsAt"] == fired[0]["startsAt"]


@pytest.mark.realprom
def test_nothing_of_it_is_left_running(tmp_path: Path, collector: Collector):
    reason = missing_binaries()
    if reason:
        pytest.skip(reason)
    with started(tmp_path, webhook=collector.url, bearer="x") as prometheus:
        addresses = [f"{prometheus.url}/-/ready", f"{prometheus.alertmanager_url}/-/ready", prometheus.exporter_url]
        for address in addresses:
            with urllib.request.urlopen(address, timeout=5) as answer:
                assert answer.status == 200
    for address in addresses:
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(address, timeout=5)


def test_the_exporter_counts_at_the_rates_set():
    exporter = Exporter()
    exporter.set(err=1.0, rps=1_000_000.0)
    text = until(lambda: exporter.text() if _count(exporter.text(), "503") > 1000 else "", message="no errors counted")
    assert _count(text, "503") > 100 * _count(text, "200")
    with pytest.raises(AssertionError, match="no rate named"):
        exporter.set(errors=1.0)


def _count(text: str, code: str) -> float:
    return next(float(line.split()[-1]) for line in text.splitlines() if f'response_code="{code}"' in line)

"""The real Prometheus and Alertmanager, a service whose errors a test sets, and alerts that arrive where the test says."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from ground.waiting import free_port, until

DATA = Path(__file__).resolve().parent.parent / "data" / "prometheus"
# Debian prefixes its Alertmanager; other packagers do not.
ALERTMANAGER_NAMES = ("prometheus-alertmanager", "alertmanager")
MESH_LABELS = {
    "reporter": "destination",
    "source_workload": "gateway",
    "destination_workload": "docs-api",
    "destination_service": "docs-api.prod.svc.cluster.local",
    "destination_workload_namespace": "prod",
    "connection_security_policy": "mutual_tls",
}
# Upper bound in milliseconds -> the share of good answers below it.
LATENCIES = {"100": 0.9, "500": 0.97, "1200": 0.995, "+Inf": 1.0}


class Exporter:
    """What the mesh would say of docs-api: counters that grow with time at the rates set. Safe to set from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rates = {"err": 0.001, "tls": 0.0, "rps": 50.0}
        self._counts = {"200": 0.0, "503": 0.0, "tls": 0.0}
        self._at = time.monotonic()

    def set(self, **rates: float) -> None:
        """``err`` the share of answers that are 503, ``tls`` the share of handshakes that fail, ``rps`` requests a second."""
        unknown = rates.keys() - self._rates
        assert not unknown, f"the exporter has no rate named {unknown}; it has {sorted(self._rates)}"
        with self._lock:
            self._advance()
            self._rates.update(rates)

    def text(self) -> str:
        with self._lock:
            self._advance()
            counts = dict(self._counts)
        labels = ",".join(f'{name}="{value}"' for name, value in MESH_LABELS.items())
        good = counts["200"]
        lines = ["# TYPE istio_requests_total counter"]
        lines += [
            f'istio_requests_total{{{labels},response_code="{code}"}} {counts[code]:.3f}' for code in ("200", "503")
        ]
        lines += ["# TYPE istio_request_duration_milliseconds histogram"]
        name = "istio_request_duration_milliseconds"
        lines += [f'{name}_bucket{{{labels},le="{le}"}} {good * share:.3f}' for le, share in LATENCIES.items()]
        lines += [f"{name}_sum{{{labels}}} {good * 80:.3f}", f"{name}_count{{{labels}}} {good:.3f}"]
        lines += ["# TYPE envoy_cluster_ssl_fail_total counter"]
        lines += [f'envoy_cluster_ssl_fail_total{{pod="docs-api-0"}} {counts["tls"]:.3f}']
        return "\n".join(lines) + "\n"

    def _advance(self) -> None:
        now = time.monotonic()
        requests = self._rates["rps"] * (now - self._at)
        self._at = now
        self._counts["200"] += requests * (1 - self._rates["err"])
        self._counts["503"] += requests * self._rates["err"]
        self._counts["tls"] += requests * self._rates["tls"]


@dataclass(frozen=True)
class RealPrometheus:
    """Both servers, up and ready. The addresses have no trailing slash."""

    url: str
    alertmanager_url: str
    exporter_url: str
    exporter: Exporter

    def set(self, **rates: float) -> None:
        """As ``Exporter.set``; errors of 30 % set off SLOBurnFast in 3 to 7 s, mending them resolves it in about 10 s."""
        self.exporter.set(**rates)


StartPrometheus = Callable[..., RealPrometheus]


def missing_binaries() -> str:
    """Why the real servers cannot be started here; empty when they can."""
    missing = [] if shutil.which("prometheus") else ["prometheus"]
    missing += [] if _alertmanager() else [" or ".join(ALERTMANAGER_NAMES)]
    if not missing:
        return ""
    return f"not on PATH: {', '.join(missing)}; on Debian apt install prometheus prometheus-alertmanager"


def _alertmanager() -> str | None:
    return next((found for found in map(shutil.which, ALERTMANAGER_NAMES) if found), None)


@pytest.fixture
def real_prometheus(tmp_path: Path) -> Iterator[StartPrometheus]:
    """``real_prometheus(webhook="http://…/webhooks/alertmanager", bearer="…")`` starts both and waits until they are ready."""
    reason = missing_binaries()
    if reason:
        pytest.skip(reason)
    with ExitStack() as running:
        yield lambda *, webhook, bearer, rules="": running.enter_context(
            started(tmp_path, webhook=webhook, bearer=bearer, rules=rules)
        )


@contextmanager
def started(directory: Path, *, webhook: str, bearer: str, rules: str = "") -> Iterator[RealPrometheus]:
    """Both servers with their files in ``directory``, telling alerts to ``webhook``; gone when the block ends.

    ``rules``: the rules Prometheus runs instead of its usual ones.
    """
    exporter = Exporter()
    ports = {"PROMETHEUS_PORT": free_port(), "ALERTMANAGER_PORT": free_port()}
    with ExitStack() as running:
        exporter_port = running.enter_context(_serving(exporter))
        values = {**ports, "EXPORTER_PORT": exporter_port, "WEBHOOK_URL": webhook, "BEARER": bearer}
        for template in sorted(DATA.glob("*.yml")):
            text = template.read_text()
            for name, value in values.items():
                text = text.replace(f"@{name}@", str(value))
            (directory / template.name).write_text(rules if rules and template.name == "rules.yml" else text)
        alertmanager_url = f"http://127.0.0.1:{ports['ALERTMANAGER_PORT']}"
        url = f"http://127.0.0.1:{ports['PROMETHEUS_PORT']}"
        running.enter_context(
            _process(
                directory,
                str(_alertmanager()),
                f"--config.file={directory / 'alertmanager.yml'}",
                f"--storage.path={directory / 'alertmanager'}",
                f"--web.listen-address={alertmanager_url.removeprefix('http://')}",
                "--cluster.listen-address=",
                ready=f"{alertmanager_url}/-/ready",
            )
        )
        running.enter_context(
            _process(
                directory,
                "prometheus",
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={directory / 'prometheus'}",
                f"--web.listen-address={url.removeprefix('http://')}",
                ready=f"{url}/-/ready",
            )
        )
        yield RealPrometheus(url, alertmanager_url, f"http://127.0.0.1:{exporter_port}", exporter)


@contextmanager
def _process(directory: Path, program: str, *arguments: str, ready: str) -> Iterator[None]:
    """A program that has answered 200 at ``ready``; it is killed at the end if it does not leave by itself."""
    log = directory / f"{Path(program).name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen([program, *arguments], cwd=directory, stdout=out, stderr=out)

    def answers() -> bool:
        if process.poll() is not None:
            pytest.fail(f"{program} ended with {process.returncode}: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(ready, timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False

    try:
        until(answers, timeout=30, message=f"{program} was not ready", every=0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


@contextmanager
def _serving(exporter: Exporter) -> Iterator[int]:
    """Serve the exporter's text on a thread; gives the port."""

    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(exporter.text().encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing: a line for every scrape hides the test's own output."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)

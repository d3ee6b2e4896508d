"""The plan's own checks.yml, unchanged, against a real HTTP server: what passes, what fails, and what cannot be told."""

from __future__ import annotations

import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runbooks import Looks, Outcome, load, run

FILE = Path(__file__).resolve().parent.parent / "data" / "runbooks" / "checks.yml"
PLAN = """\
checks:
  - name: health-endpoints
    command: curl -sf $BASE/health
  - name: audit-stream
    command: test -n "$(curl -s $OBS/audit/last)"
"""

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here: apt-get install curl")


class Answers(BaseHTTPRequestHandler):
    """Each path with its status and body, as ``server.answers`` has them."""

    def do_GET(self):
        status, body = self.server.answers.get(self.path, (404, b"no such page"))
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def world():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.answers = {"/health": (200, b"ok"), "/obs/audit/last": (200, b'{"id": "evt-1", "at": 1}')}
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


def outcomes(world, **environ):
    given = {"PATH": "/usr/bin:/bin", "BASE": world.url, "OBS": f"{world.url}/obs", **environ}
    report = run(load(FILE), {}, Looks(), environ=given)
    return report.outcome, {r.name: r.outcome for r in report.results}


def test_the_file_is_the_plans_own():
    assert FILE.read_text(encoding="utf-8") == PLAN


def test_it_passes_where_all_is_well(world):
    assert outcomes(world) == (
        Outcome.PASS,
        {"health-endpoints": Outcome.PASS, "audit-stream": Outcome.PASS},
    )


def test_a_service_that_is_not_well_fails(world):
    world.answers["/health"] = (503, b"down")
    assert outcomes(world) == (
        Outcome.FAIL,
        {"health-endpoints": Outcome.FAIL, "audit-stream": Outcome.PASS},
    )


def test_an_empty_audit_stream_fails(world):
    world.answers["/obs/audit/last"] = (200, b"")
    assert outcomes(world) == (
        Outcome.FAIL,
        {"health-endpoints": Outcome.PASS, "audit-stream": Outcome.FAIL},
    )


def test_nobody_there_fails_both(world):
    nowhere = "http://127.0.0.1:9"
    assert outcomes(world, BASE=nowhere, OBS=nowhere)[1] == {
        "health-endpoints": Outcome.FAIL,
        "audit-stream": Outcome.FAIL,
    }


def test_an_address_that_nobody_has_set_is_an_error_and_says_which(world):
    report = run(load(FILE), {}, Looks(), environ={"PATH": "/usr/bin:/bin", "BASE": world.url})
    found = {r.name: r for r in report.results}
    assert found["audit-stream"].outcome is Outcome.ERROR
    assert "OBS" in found["audit-stream"].detail
    assert found["health-endpoints"].outcome is Outcome.PASS

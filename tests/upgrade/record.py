"""Records a release in the middle of its work, as the fixture that the releases after it must carry on.

Do this once for each release, when it is out, with that release's own code, which this script imports and starts:

    git worktree add /tmp/release v0.2.0 && make -C /tmp/release install-dev
    /tmp/release/.venv/bin/python tests/upgrade/record.py tests/upgrade/0.2.0
    git worktree remove --force /tmp/release

It makes a recording on SQLite and one on PostgreSQL (15 or newer, with its pg_dump beside it). ``test_upgrade.py`` plays
every folder it finds; keep the last two releases. The story is the one that ``recorded.ALERTS`` tells. What cannot be timed
from outside (killed between the commit and the decision) is held by triggers, which are taken away before the copy is made.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import requests
import yaml
from recorded import ALERTS, BY_HAND, NO_PROJECT, ROUTING_KEYS, STAND_INS, body, write
from starlette.applications import Starlette
from starlette.routing import Mount

import bot
from bot.integrations.jira.fake import API_TOKEN as JIRA_TOKEN
from bot.integrations.jira.fake import EMAIL, FakeJira
from bot.integrations.kubernetes.fake import FakeKubernetes
from bot.integrations.pagerduty.fake import FakePagerDuty
from bot.integrations.prometheus.fake import FakePrometheus
from bot.integrations.slack.fake import FakeSlack
from bot.standin import CallLog, serve

RELEASE = Path(bot.__file__).parent.parent
"""The checkout of the release that is recorded."""
SECRET, TOKEN = "alert-secret", "cli-token"
LONG, PATIENT = 600.0, 60.0
"""Seconds that an answer is held back, and that the bot waits for it: what is under way must be so when the bot is killed."""
HOLD_SQLITE = (
    "CREATE TRIGGER hold_{name} BEFORE UPDATE OF {column} ON {table} BEGIN SELECT RAISE(ABORT, 'held'); END",
    "DROP TRIGGER hold_{name}",
)
HOLD_POSTGRES = (
    (
        "CREATE FUNCTION hold_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'held'; END $$;"
        "CREATE TRIGGER hold_{name} BEFORE UPDATE OF {column} ON {table} FOR EACH ROW EXECUTE FUNCTION hold_{name}()"
    ),
    "DROP TRIGGER hold_{name} ON {table}; DROP FUNCTION hold_{name}()",
)
PENDING = "SELECT count(*) FROM {table} WHERE status = 'PENDING' AND workflow_uuid LIKE '%:{kind}#1'"
HELD = (("decision", "alerts", "verdict"), ("deed", "incidents", "acked_at"), ("answer", "inbox", "done_at"))
"""(name, table, column): what the bot may not write any more."""


class Sqlite:
    """The two files in ``folder``."""

    hold = HOLD_SQLITE

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/bot.db"

    def run(self, sql: str, *, engine: bool = False) -> list[Any]:
        with closing(sqlite3.connect(self.folder / ("bot.dbos.db" if engine else "bot.db"), timeout=10)) as c:
            rows = c.execute(sql).fetchall()
            c.commit()
            return rows

    def pending(self, kind: str) -> int:
        return int(self.run(PENDING.format(table="workflow_status", kind=kind), engine=True)[0][0])

    def dump(self) -> dict[str, str]:
        found = {}
        for name in ("bot", "bot.dbos"):
            with closing(sqlite3.connect(self.folder / f"{name}.db")) as c:
                sql = "\n".join(c.iterdump()) + "\n"
                # The same number, written so that it is seen to be a time.
                found[name] = re.sub(r"\d\.\d+e\+09", lambda match: repr(float(match.group(0))), sql)
        return found


class Postgres:
    """A database on a server of our own."""

    hold = HOLD_POSTGRES

    def __init__(self, url: str, pg_dump: Path) -> None:
        self.url = url
        self.pg_dump = pg_dump

    def run(self, sql: str) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as c:
            answer = c.execute(sql)
            return answer.fetchall() if answer.description else []

    def pending(self, kind: str) -> int:
        return int(self.run(PENDING.format(table="dbos.workflow_status", kind=kind))[0][0])

    def dump(self) -> dict[str, str]:
        command = [self.pg_dump, "--inserts", "--no-owner", "--no-privileges", "--no-comments", self.url]
        sql = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        kept = [
            line for line in sql.splitlines() if line and not line.startswith(("--", "\\", "SET transaction_timeout"))
        ]
        return {"bot": "\n".join(kept) + "\n"}


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until it is so. Exits with ``what`` when it is not so within a minute."""
    pause, deadline = threading.Event(), time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"the recording stands still: {what}")
        pause.wait(0.05)


class Story:
    """The bot of the release, the world around it, and what happens."""

    def __init__(self, folder: Path, database: Sqlite | Postgres) -> None:
        self.database = database
        calls = CallLog()
        self.slack, self.jira = FakeSlack(calls), FakeJira(calls)
        self.pagerduty = FakePagerDuty(calls, routing_keys=ROUTING_KEYS)
        rest = {"kubernetes": FakeKubernetes(calls), "prometheus": FakePrometheus(calls)}
        made = {"slack": self.slack, "pagerduty": self.pagerduty, "jira": self.jira, **rest}
        self.served = serve(Starlette(routes=[Mount(f"/{name}", app=one.app) for name, one in made.items()]))
        self.slack.people.commands |= {"/incident"}
        self.slack.url = f"{self.served.url}/slack"
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.slack.request_url = f"{self.url}/slack/events"
        file = folder / "captain.yml"
        file.write_text(yaml.safe_dump(self._config(port)))
        command = [sys.executable, "-m", "bot.serving", "serve", "--config", str(file)]
        self.log = folder / "bot.log"
        with self.log.open("wb") as log:
            self.bot = subprocess.Popen(command, cwd=RELEASE, stdout=log, stderr=log, env={**os.environ})
        until(self._ready, "the bot did not come up")

    def _config(self, port: int) -> dict[str, Any]:
        url, slack = self.served.url, self.slack
        slack_section = {"mode": "http", "bot_token": slack.bot_token, "signing_secret": slack.signing_secret}
        return {
            "captain": {"database": self.database.url, "api_token": TOKEN, "listen": f"127.0.0.1:{port}"},
            "slack": slack_section | {"base_url": f"{url}/slack/api/", "timeout": PATIENT},
            "pagerduty": {"events_url": f"{url}/pagerduty", "rest_url": f"{url}/pagerduty", "timeout": PATIENT},
            "jira": {"url": f"{url}/jira", "email": EMAIL, "api_token": JIRA_TOKEN, "timeout": PATIENT},
            "prometheus": {"url": f"{url}/prometheus"},
            "kubernetes": {"url": f"{url}/kubernetes"},
            "alertmanager": {"webhook_secret": SECRET},
            "services": {
                "docs-api": {"channel": "#docs-api", "pagerduty": "a" * 32, "jira": "OPS", "runbook": "docs-api"},
                "gateway": {"channel": "#gateway", "pagerduty": "b" * 32, "jira": NO_PROJECT},
            },
            "incidents": {"panel_pause": 0.05},
        }

    def _ready(self) -> bool:
        if self.bot.poll() is not None:
            raise SystemExit(self.log.read_text())
        try:
            return requests.get(f"{self.url}/readyz", timeout=1).status_code == 200
        except requests.ConnectionError:
            return False

    def alert(self, name: str, status: str = "firing") -> None:
        headers = {"authorization": f"Bearer {SECRET}"}
        url = f"{self.url}/webhooks/alertmanager"
        answer = requests.post(url, json=body(name, status=status), headers=headers, timeout=10)
        if answer.status_code != 202:
            raise SystemExit(f"the alert '{name}' was answered with {answer.status_code}: {answer.text}")

    def ask(self, line: str) -> None:
        headers = {"authorization": f"Bearer {TOKEN}"}
        requests.post(f"{self.url}/api/command", json={"line": line, "as": "dora"}, headers=headers, timeout=10)

    def count(self, where: str) -> int:
        return int(self.database.run(f"SELECT count(*) FROM {where}")[0][0])

    def quiet(self) -> None:
        """Wait until nothing is owed."""
        until(
            lambda: not self.count("effects WHERE kind <> 'remind' AND state IN ('owed', 'retrying', 'waiting')"),
            "effects stay owed",
        )

    def tell(self) -> None:
        """Everything that happens, up to kill -9."""
        self.alert("old")
        self.quiet()
        self.alert("old", "resolved")
        until(lambda: self.count("incidents WHERE status = 'resolved'") == 1, "nothing was resolved")
        self.quiet()
        self.alert("acknowledged")
        until(lambda: self.count("incidents") == 2, "no second incident")
        self.quiet()
        self.ask("incident ack INC-2")
        self.ask(f'incident open sev2 docs-api "{BY_HAND}"')
        self.alert("parked")
        until(lambda: self.count("effects WHERE state = 'gave_up'") == 1, "nothing was given up")
        self.quiet()
        self.acted()
        self.owed()
        self.undone()
        self.bot.send_signal(signal.SIGKILL)
        self.bot.wait(10)

    def acted(self) -> None:
        """Page, root message and ticket are made, and the answer to each never comes."""
        pages, tickets = len(self.pagerduty.state()["incidents"]), len(self.jira.state()["issues"])
        for fake, only in ((self.pagerduty, "/enqueue"), (self.slack, "chat.postMessage"), (self.jira, "/issue")):
            fake.faults.breaks("late", delay=LONG, only=only)
        self.alert("acted")
        until(lambda: len(self.pagerduty.state()["incidents"]) > pages, "nobody was paged")
        until(lambda: len(self.jira.state()["issues"]) > tickets, "no ticket")
        until(lambda: self.count("effects WHERE state = 'owed' AND kind = 'root' AND tried = 1"), "no root message")

    def owed(self) -> None:
        """The page is refused and tried again; the root message and the ticket are under way and have not acted."""
        self.pagerduty.faults.breaks("500")
        for fake in (self.slack, self.jira):
            fake.faults.breaks("hang")
        self.alert("owed")
        until(lambda: self.count("effects WHERE kind = 'page' AND state = 'retrying' AND attempt >= 2"), "no retry")
        for kind in ("root", "ticket"):  # and those of the incident before, whose answers never came
            until(lambda kind=kind: self.database.pending(kind) == 2, f"the {kind} is not under way")
        until(lambda: self.count("effects WHERE kind = 'note' AND state = 'waiting'"), "nothing waits for its thread")

    def undone(self) -> None:
        """An alert and a command are taken, and nothing is done about them."""
        for name, table, column in HELD:
            self.database.run(self.database.hold[0].format(name=name, table=table, column=column))
        self.alert("undecided")
        number = len(ALERTS)  # its own has none yet, and one was opened by hand
        told = self.slack.slash("#docs-api", self.slack.user_id("alice"), "/incident", f"ack INC-{number}")
        if not told["ok"]:
            raise SystemExit(f"the command was not taken: {told}")
        until(lambda: self.count("alerts WHERE verdict IS NULL") == 1, "no alert is undecided")
        until(lambda: self.count("inbox WHERE done_at IS NULL") == 1, "no command is undone")

    def copy(self, folder: Path) -> None:
        """Write the recording."""
        world = {"slack": self.slack.dump(), "pagerduty": self.pagerduty.dump(), "jira": self.jira.dump()}
        for name, table, column in HELD:
            self.database.run(self.database.hold[1].format(name=name, table=table, column=column))
        version = tomllib.loads((RELEASE / "pyproject.toml").read_text())["project"]["version"]
        revision = self.database.run("SELECT version_num FROM alembic_version")[0][0]
        about = {"release": version, "revision": revision, "recorded_at": time.time()}
        databases = {name: self._scrubbed(sql) for name, sql in self.database.dump().items()}
        write(folder, databases=databases, world=json.loads(self._scrubbed(json.dumps(world))), about=about)

    def _scrubbed(self, text: str) -> str:
        """Without the names and addresses of the machine it was recorded on."""
        text = text.replace(self.served.url, STAND_INS)
        return re.sub(rf"{re.escape(socket.gethostname())}-\d+-", "recorded-1-", text)

    def end(self) -> None:
        if self.bot.poll() is None:
            self.bot.kill()
            self.bot.wait(10)
        self.served.stop()


@contextmanager
def server() -> Iterator[Postgres]:
    """A fresh database on a PostgreSQL server of the release's own tests."""
    sys.path.insert(0, str(RELEASE / "tests"))
    from ground.postgres import PostgresServer, find_binaries

    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL here")
    with tempfile.TemporaryDirectory(prefix="captain-record-") as folder:
        made = PostgresServer(binaries, Path(folder))
        made.start()
        try:
            yield Postgres(made.url(made.create_database()), made.binaries / "pg_dump")
        finally:
            made.stop("fast")


def record(database: Sqlite | Postgres, folder: Path, out: Path) -> None:
    story = Story(folder, database)
    try:
        story.tell()
        story.copy(out)
    finally:
        story.end()
    sys.stdout.write(f"{out}: {sum(file.stat().st_size for file in out.iterdir()):,} bytes\n")


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    out = Path(sys.argv[1])
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # calls that hang when the stand-ins end are meant to
    with tempfile.TemporaryDirectory() as name:
        record(Sqlite(Path(name)), Path(name), out / "sqlite")
    with tempfile.TemporaryDirectory() as name, server() as database:
        record(database, Path(name), out / "postgresql")


if __name__ == "__main__":
    main()

"""What both sides of an upgrade agree on: the story that was recorded, and how a recording is moved to the present day.

A recording is text: the databases as SQL, the world around them (what the stand-ins held) as JSON. Waits, patience and
"too late to be answered" are told from times in it, so before it is played every time is moved by one and the same number
of seconds, in the databases and in the world: to the recorded bot it is as if the recording had just ended. Only the audit
entries keep their times, because those are sealed; nothing is computed from them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STAND_INS = "http://stand-ins.invalid"
"""Stands for the address of the stand-ins in a recording."""
ROUTING_KEYS = {"a" * 32: "docs-api", "b" * 32: "gateway"}
NO_PROJECT = "NOPE"
"""The Jira project that gateway named when it was recorded; the ticket of a project that is not there is given up."""
ALERTS = {
    "old": ("docs-api", "docs-api-latency", "resolved long ago"),
    "acknowledged": ("docs-api", "docs-api-availability", "acknowledged, everything done"),
    "parked": ("gateway", "gateway-availability", "its ticket was given up"),
    "acted": ("docs-api", "docs-api-freshness", "page, message and ticket were made, and no answer came"),
    "owed": ("docs-api", "docs-api-throughput", "page refused so far, message and ticket on their way"),
    "undecided": ("gateway", "gateway-latency", "taken, and not decided about"),
}
"""What was fired, in this order: (service, SLO, what became of it)."""
BY_HAND = "the certificate of docs-api ends tomorrow"
"""The title of the incident that a person opened."""
DAY = 86400.0


@dataclass(frozen=True)
class Recording:
    """One database of one release. ``databases``: file name → SQL. ``world``: stand-in → what its ``dump`` gave."""

    release: str
    revision: str
    databases: dict[str, str]
    world: dict[str, Any]


def body(name: str, *, status: str = "firing") -> dict[str, Any]:
    """The Alertmanager body of one of ALERTS; the same whenever it is asked for."""
    service, slo, summary = ALERTS[name]
    number = list(ALERTS).index(name)
    alert = {
        "status": status,
        "labels": {"alertname": "SLOBurnFast", "service": service, "severity": "page", "slo": slo, "burn": "fast"},
        "annotations": {"summary": summary},
        "startsAt": f"2026-01-02T03:04:{number:02d}Z",
        "endsAt": "2026-01-02T04:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "fingerprint": f"{number + 1:016x}",
    }
    return {"version": "4", "status": status, "groupKey": f"{{}}:{{slo={slo!r}}}", "alerts": [alert]}


def write(folder: Path, *, databases: dict[str, str], world: dict[str, Any], about: dict[str, Any]) -> None:
    """Put a recording into a folder; ``about``: release, revision, recorded_at (UNIX s)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, sql in databases.items():
        (folder / f"{name}.sql").write_text(sql, encoding="utf-8")
    (folder / "world.json").write_text(json.dumps(about | {"world": world}, indent=1, ensure_ascii=False) + "\n")


def read(folder: Path, *, now: float, stand_ins: str) -> Recording:
    """A recording as if it had ended at ``now`` (UNIX s), with the stand-ins at the address ``stand_ins``."""
    text = (folder / "world.json").read_text(encoding="utf-8")
    about = json.loads(text)
    at = float(about["recorded_at"])

    def present(recorded: str) -> str:
        return moved(recorded, at=at, by=int(now - at)).replace(STAND_INS, stand_ins)

    databases = {file.stem: present(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.sql"))}
    return Recording(about["release"], about["revision"], databases, json.loads(present(text))["world"])


def moved(text: str, *, at: float, by: int) -> str:
    """Every number in ``text`` that is a time of the day around ``at``, in s, ms or us, moved by ``by`` seconds."""

    def move(match: re.Match[str]) -> str:
        digits = match.group(0)
        scale = 10 ** (len(digits) - 10)
        return str(int(digits) + by * scale) if abs(int(digits) / scale - at) < DAY else digits

    lines = text.split("\n")
    return "\n".join(line if AUDIT.match(line) else TIME.sub(move, line) for line in lines)


AUDIT = re.compile(r'INSERT INTO ("audit"|public\.audit) ')
TIME = re.compile(r"(?<![\w.])(\d{16}|\d{13}|\d{10})(?!\w)")

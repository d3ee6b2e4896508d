"""The command line's front door: hands each command to the module that does it, so that none loads what it does not need.

``captain incident list`` is asked by somebody in a hurry: it must not wait for the imports of a bot it does not run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

ROOMS: Mapping[str, tuple[str, str]] = {
    "serve": ("bot.serving", "run the bot against the services that captain.yml names"),
    "check": ("bot.serving", "say every mistake in captain.yml and the runbooks; start nothing"),
    "slack": ("bot.serving", "`captain slack manifest` prints the Slack app manifest"),
    "audit": ("bot.serving", "`captain audit verify` walks the audit chain"),
    "db": ("bot.upkeep", "`captain db backup|restore|check`: the database in one archive, and back"),
    "purge": ("bot.upkeep", "delete what is settled and old, as the bot does every night"),
    "slo": (
        "bot.slo_cli",
        "`captain slo rules|check|import|replay`: SLOs as Prometheus rules, and what policies make of alerts",
    ),
    "runbook": (
        "bot.runbook_cli",
        "`captain runbook run|list|show|check|schema`: look with runbooks from here, in CI too, without the bot",
    ),
    "sandbox": ("bot.sandbox", "the whole bot with a pretend world around it, on this machine alone"),
}
HERE: Mapping[str, frozenset[str]] = {
    "slo": frozenset(("rules", "check", "import", "replay", "--help", "-h")),
    "runbook": frozenset(("run", "list", "show", "check", "schema", "--help", "-h")),
}
"""Words that are both: only with these after them they are commands of this machine, else the running bot is asked."""
ROOM_OF_ITS_OWN: Mapping[tuple[str, str], str] = {("runbook", "run"): "bot.runbook_run"}
"""What has imports that the rest of its room does not need."""
ASK = "bot.ask"
"""Every other word is a subject of the grammar: the running bot is asked."""


def main() -> None:
    """The console script: replaces this process, so that signals and exit codes are the command's own."""
    words = sys.argv[1:]
    if sys.stdout is None:  # A shell's >&- or a bare daemon: a failure to print is not "a check failed".
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.set_inheritable(1, True)  # dup2 leaves it as it is when the descriptor was 1 already
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(_help())
        return
    module = _room(words)
    rest = words[1:] if words[0] == "sandbox" else words
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *rest])  # noqa: S606 - our own module, no shell


def _room(words: Sequence[str]) -> str:
    """The module that does it."""
    if words[0] in HERE and not HERE[words[0]] & set(words[1:2]):
        return ASK
    if tuple(words[:2]) in ROOM_OF_ITS_OWN:
        return ROOM_OF_ITS_OWN[words[0], words[1]]
    return ROOMS.get(words[0], (ASK, ""))[0]


def _help() -> str:
    width = max(len(name) for name in ROOMS)
    lines = [f"  {name.ljust(width)}  {said}" for name, (_, said) in ROOMS.items()]
    return "\n".join(
        [
            "Usage: captain COMMAND …",
            "",
            "Commands of this machine:",
            *lines,
            "",
            "Every other command is asked of the running bot, in the words that also work in Slack:",
            "  captain incident list",
            '  captain incident open sev2 docs-api "p95 up"',
            "  captain why INC-12",
            "  captain slo docs-api",
            "  captain help",
            "",
            "`captain COMMAND --help` says more of each.",
            "",
        ]
    )


if __name__ == "__main__":
    main()

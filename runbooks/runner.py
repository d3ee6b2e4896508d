"""Runs a runbook: a few checks at a time, in the order of their needs, each within its time and all within theirs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from runbooks.book import DEADLINE_S, PARALLEL, Check, Runbook, selected, values
from runbooks.kind import Looks
from runbooks.looking import Looking
from runbooks.plan import Plan
from runbooks.secret_refs import Secrets
from runbooks.verdict import Report, Result, Severity


def run(
    runbook: Runbook,
    parameters: Mapping[str, str],
    looks: Looks,
    *,
    parallel: int | None = None,
    deadline_s: float | None = None,
    on_result: Callable[[Result], None] | None = None,
    on_start: Callable[[Check], None] | None = None,
    cancelled: threading.Event | None = None,
    environ: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    tags: Sequence[str] = (),
) -> Report:
    """Run every check and report. Returns within the deadline and a moment, whatever the outside does.

    ``parameters`` go over the runbook's defaults. ``parallel`` and ``deadline_s`` go over what its file says, and that
    over 4 checks at a time and 60 s. ``only`` and ``tags``: run the checks of these names (also of a whole ``uses:``)
    or tags, and what they need. ``on_start`` is called when a check looks for the first time, ``on_result`` once per
    check as it ends; both on the caller's own thread, one after the other. ``environ`` is where env: references and
    shell lines look; the process' own by default. ``cancelled`` ends the run within a moment.
    """
    began = time.monotonic()
    try:
        found = values(runbook, parameters)
        checks = selected(runbook, only, tags)
    except ValueError as why:
        return Report(runbook.name, (), 0.0, str(why))
    if not checks:
        return Report(runbook.name, (), 0.0, f"the runbook {runbook.name} has no checks, so nothing was looked at")
    at_once = parallel if parallel is not None else runbook.parallel or PARALLEL
    time_s = deadline_s if deadline_s is not None else runbook.deadline_s or DEADLINE_S
    secrets = Secrets(os.environ if environ is None else environ, looks.cluster)
    looking = Looking(looks, secrets, threading.Event(), found, runbook.env)
    plan = Plan(checks, looking, began + time_s, max(1, at_once), cancelled or threading.Event())
    results = plan.carry_out(on_start or _nobody, on_result or _nobody)
    warnings = all(check.severity is Severity.WARNING for check in checks)
    detail = "only warnings were looked at, and those decide nothing" if warnings else ""
    return Report(runbook.name, results, time.monotonic() - began, detail)


def _nobody(_: object) -> None:
    pass

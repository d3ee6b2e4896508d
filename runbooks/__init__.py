"""What the captain looks at: checks that read and change nothing.

The law of this room: a check looks, within the time it was given, through clients that are handed to it, and leaves
the world as it found it. It says one of five things (PASS, FAIL, INCONCLUSIVE, NO_DATA, ERROR) and none of them stands
for another: no data is not a pass, and not having been able to look is not a failure. What it says carries the value,
the threshold and what to do next, and never a secret.

To add a check: an entry in a runbook's YAML. To add a kind: ``kinds/NAME.py`` and its line in ``kinds/__init__.py``.
"""

from __future__ import annotations

from runbooks.book import Check, Parameter, Runbook, selected
from runbooks.kind import Looks
from runbooks.kinds import KINDS
from runbooks.read import load, load_folder, shipped
from runbooks.runner import run
from runbooks.schema import schema
from runbooks.verdict import Finding, Outcome, Report, Result, Severity, fold

__all__ = [
    "KINDS",
    "Check",
    "Finding",
    "Looks",
    "Outcome",
    "Parameter",
    "Report",
    "Result",
    "Runbook",
    "Severity",
    "fold",
    "load",
    "load_folder",
    "run",
    "schema",
    "selected",
    "shipped",
]

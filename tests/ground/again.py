"""Runs pytest; the few tests that fail side by side run once more, alone, and are named, so that load is told from a fault."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FEW = 8
"""More than these, of five thousand, that fail together are no accident of a busy machine."""


def run(arguments: Sequence[str]) -> int:
    """Run pytest with ``arguments``; its exit code, or 0 when all of the few that failed pass alone."""
    with tempfile.TemporaryDirectory() as cache:
        status = _pytest(*arguments, "-o", f"cache_dir={cache}")
        if status != 1:
            return status
        failed = sorted(json.loads((Path(cache) / "v" / "cache" / "lastfailed").read_text()))
        if not 0 < len(failed) <= FEW:
            return status
        _say(f"\nOnce more, alone: {', '.join(failed)}")
        alone = _pytest(*failed, "-n", "0", "-o", f"cache_dir={cache}")
    if alone == 0:
        _say(f"FAILED SIDE BY SIDE, PASSED ALONE (a race in the test or in the bot; look): {', '.join(failed)}")
    return alone


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _pytest(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))

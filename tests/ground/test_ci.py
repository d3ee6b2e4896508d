"""The CI script: it passes when tests passed, and at no other time."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# What the script may call here: no apt-get, so that it installs nothing while it is tested.
PROGRAMS = ("bash", "dirname", "echo", "grep", "id", "make", "mktemp", "rm", "sh", "tail", "tee", "tr")
PASSED = "============ 3 passed, 1 skipped in 1.20s ============"


def ci_run(directory: Path, *, says: str, status: int) -> tuple[int, list[str], str]:
    """Run the script where ``make test`` prints ``says`` and exits with ``status``: exit status, lines, standard error."""
    programs = directory / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).symlink_to(str(shutil.which(name)))
    (directory / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", directory / ".ci" / "run")
    (directory / "said").write_text(says + "\n")
    (directory / "Makefile").write_text(f'test:\n\t@while read -r line; do echo "$$line"; done <said; exit {status}\n')
    done = subprocess.run(
        [directory / ".ci" / "run"],
        cwd="/",
        env={"PATH": str(programs), "TMPDIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_tests_that_pass_pass_and_the_summary_comes_last(tmp_path: Path):
    status, lines, _ = ci_run(tmp_path, says=f"lint is clean\n{PASSED}", status=0)
    assert status == 0
    assert lines[-1] == PASSED


@pytest.mark.parametrize(
    ("says", "status"),
    [
        ("======== 1 failed, 3 passed in 1.20s ========", 1),
        ("======== 1 error in 0.20s ========", 2),
        ("======== no tests ran in 0.02s ========", 5),
        (PASSED, 1),  # the linters found something
    ],
)
def test_what_fails_fails_and_the_summary_comes_last(tmp_path: Path, says: str, status: int):
    found, lines, _ = ci_run(tmp_path, says=says, status=status)
    assert found != 0
    assert lines[-1] == says


@pytest.mark.parametrize(
    "says",
    ["", "all is well", "======== no tests ran in 0.02s ========", "======== 4 skipped in 0.30s ========"],
    ids=["silence", "no summary", "nothing ran", "all skipped"],
)
def test_nothing_shown_to_work_is_no_pass(tmp_path: Path, says: str):
    assert ci_run(tmp_path, says=says, status=0)[0] != 0


def test_what_cannot_be_installed_is_said_and_is_not_the_end(tmp_path: Path):
    status, _, errors = ci_run(tmp_path, says=PASSED, status=0)
    assert status == 0
    assert "Not installed" in errors
    assert "prometheus" in errors

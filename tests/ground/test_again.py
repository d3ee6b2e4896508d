"""What failed because the machine was busy is told from what is wrong, and neither is hidden."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

AGAIN = Path(__file__).with_name("again.py")
ONCE = """
from pathlib import Path
def test_late_once():
    flag = Path(__file__).with_name("flag")
    seen = flag.exists()
    flag.touch()
    assert seen
"""
WRONG = "def test_wrong():\n    assert False\n"
MANY = "import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test_wrong(n):\n    assert False\n"


@pytest.mark.parametrize(
    ("tests", "status", "said"),
    [
        ("def test_right():\n    pass\n", 0, "1 passed"),
        (
            ONCE,
            0,
            "FAILED SIDE BY SIDE, PASSED ALONE (a race in the test or in the bot; look): test_it.py::test_late_once",
        ),
        (WRONG, 1, "Once more, alone: test_it.py::test_wrong"),
        (ONCE + WRONG, 1, "1 failed, 1 passed"),
        (MANY, 1, "9 failed"),
        ("def test_broken(:\n", 2, "SyntaxError"),
        ("", 5, "no tests ran"),
    ],
)
def test_the_few_that_fail_run_once_more_alone(tmp_path: Path, tests: str, status: int, said: str):
    (tmp_path / "test_it.py").write_text(tests)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, str(AGAIN), "-n", "0"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == status, done.stdout
    assert said in done.stdout
    assert ("PASSED ALONE" in done.stdout) == (tests == ONCE)
    assert ("Once more" in done.stdout) == (status in (0, 1) and "failed" in done.stdout and tests != MANY)

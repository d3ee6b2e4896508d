"""What a run may be asked for: a runbook's checks by name, by the entry they came with and by tag, and its parameters."""

from __future__ import annotations

import pytest

from handlers.runs import picked
from runbooks import Check, Parameter, Runbook

BOOK = Runbook(
    "book",
    "Book",
    [
        Check("first", "command", {"command": "true"}, tags=("smoke",)),
        Check("other / a", "command", {"command": "true"}, needs=("first",)),
        Check("other / deep / b", "command", {"command": "true"}, tags=("slow",)),
    ],
    {"env": "dev", "service": None},
    declared={"env": Parameter("env", "dev", choices=("dev", "prod")), "service": Parameter("service")},
)


@pytest.mark.parametrize(
    ("only", "names"),
    [
        ([], ["first", "other / a", "other / deep / b"]),
        (["first"], ["first"]),
        (["slow"], ["other / deep / b"]),
        (["other / a"], ["first", "other / a"]),
        (["other"], ["first", "other / a", "other / deep / b"]),
        (["other / deep"], ["other / deep / b"]),
    ],
)
def test_checks_are_picked_by_name_by_what_they_came_with_and_by_tag(only, names):
    assert list(picked.unknown(BOOK, only)) == []
    assert [check.name for check in picked.picked(BOOK, only).checks] == names


def test_what_is_no_check_and_no_tag_is_said_with_the_nearest_name():
    assert "no check and no tag 'othr'" in next(picked.unknown(BOOK, ["othr"]))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"service": "docs", "env": "prod"}, []),
        ({"service": "docs", "env": "prd"}, ["env must be one of its choices (dev, prod), not 'prd'; did you mean 'prod'?"]),
        ({}, ["needs service=…"]),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit_are_said_before_anything_runs(given, said):
    found = list(picked.faults(BOOK, given))
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True))

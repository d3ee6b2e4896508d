"""Grounds for runbooks: files to load, and checks to run by themselves."""

from __future__ import annotations

import textwrap

import pytest

from runbooks import Looks, load, run


@pytest.fixture
def written(tmp_path):
    """``written(text)`` puts a runbook into a file and gives its path."""

    def write(text: str, name: str = "book.yml"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write


@pytest.fixture
def one(written):
    """``one(check fields…)`` runs a runbook of one check and gives its result."""

    def look(text: str, looks: Looks | None = None, *, parameters: dict | None = None, environ=None, given=None, **how):
        head = "".join(f"  {k}: {'' if v is None else repr(v)}\n" for k, v in (parameters or {}).items())
        lines = textwrap.indent(textwrap.dedent(text).strip("\n"), "    ")
        body = (f"parameters:\n{head}" if head else "") + f"checks:\n  - name: it\n{lines}\n"
        path = written("")
        path.write_text(body, encoding="utf-8")
        report = run(load(path), given or {}, looks or Looks(), environ=environ, **how)
        assert len(report.results) == 1, report.detail
        return report.results[0]

    return look

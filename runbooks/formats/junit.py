"""JUnit XML, as strict as Windy Road's schema and Jenkins' own: FAIL is a failure, what could not be told is an error.

Nothing is ever "skipped": readers count that as good. The schemas let a testcase hold nothing but its failure, so what a
check saw stands in the suite's system-out, a YAML document, and once more in the failure itself.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

import yaml

from runbooks.formats.told import Told, Whole, decides, facts, measured, one_line, said
from runbooks.verdict import Outcome, Result

ELEMENT: Mapping[Outcome, str] = {
    Outcome.FAIL: "failure",
    Outcome.ERROR: "error",
    Outcome.INCONCLUSIVE: "error",
    Outcome.NO_DATA: "error",
}


def render(whole: Whole) -> str:
    root = ET.Element("testsuites")
    for number, run in enumerate(whole.runs):
        root.append(_suite(run, number))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(run: Told, number: int) -> ET.Element:
    suite = ET.Element("testsuite")
    properties = ET.SubElement(suite, "properties")
    about = {"title": run.title, "path": run.path, "outcome": run.outcome.value, "owners": ", ".join(run.owners)}
    for name, value in (about | {f"parameter {name}": value for name, value in run.parameters.items()}).items():
        ET.SubElement(properties, "property", name=one_line(name), value=value)
    for result in run.results:
        _case(suite, run, result)
    if not run.results:
        _nothing(suite, run)
    found = [{"check": result.name, **facts(run, result)} for result in run.results]
    ET.SubElement(suite, "system-out").text = _yaml(found) if found else ""
    ET.SubElement(suite, "system-err").text = ""
    suite.attrib |= {
        "name": one_line(run.runbook),
        "package": "runbooks",
        "id": str(number),
        "hostname": socket.gethostname() or "localhost",
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(run.began)),
        "tests": str(len(suite.findall("testcase"))),
        "failures": str(len(suite.findall("testcase/failure"))),
        "errors": str(len(suite.findall("testcase/error"))),
        "skipped": "0",
        "time": _seconds(run.took_s),
    }
    return suite


def _case(suite: ET.Element, run: Told, result: Result) -> None:
    case = _named(suite, run, result.name, result.took_s)
    if result.outcome is Outcome.PASS:
        return
    warns = "" if decides(result) else "warning: "
    told = measured(result)
    if result.outcome is not Outcome.FAIL:
        told = f"{result.outcome.value}: {one_line(result.detail) or told}"
    made = ET.SubElement(case, ELEMENT[result.outcome], type=result.outcome.value, message=warns + told)
    made.text = _yaml(facts(run, result))


def _nothing(suite: ET.Element, run: Told) -> None:
    """An empty suite is green in every reader; one in which nothing could be looked at must not be."""
    case = _named(suite, run, "runbook", run.took_s)
    why = one_line(run.detail) or "there was no check to look at"
    ET.SubElement(case, "error", type=run.outcome.value, message=f"{run.outcome.value}: {why}").text = "\n".join(
        [run.detail or why, *(said(one) for one in run.mistakes)]
    )


def _named(suite: ET.Element, run: Told, name: str, took_s: float) -> ET.Element:
    called = {"name": one_line(name), "classname": one_line(run.runbook), "time": _seconds(took_s)}
    return ET.SubElement(suite, "testcase", called)


def _seconds(took_s: float) -> str:
    return f"{max(0.0, took_s):.3f}"


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10_000)

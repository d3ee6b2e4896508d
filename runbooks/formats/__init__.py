"""How runs of runbooks are told to other programs: one format a file, each a plain text made of what was found.

The law of this room: every format tells all five outcomes apart, carries what was asked, what was seen and what was
wanted, and holds no secret and no control character. None of them turns what could not be told into a pass, and an empty
run is no green one. A reader of the format finds in it, by an ordinary parser, the very texts that were put in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from runbooks.formats import exposition, github, junit, plain, structured, tap
from runbooks.formats.told import Whole


class Format(StrEnum):
    """The formats by their names on the command line."""

    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"
    TAP = "tap"
    PROMETHEUS = "prometheus"
    GITHUB = "github"


RENDER: Mapping[Format, Callable[[Whole], str]] = {
    Format.TABLE: plain.render,
    Format.JSON: structured.render,
    Format.JUNIT: junit.render,
    Format.TAP: tap.render,
    Format.PROMETHEUS: exposition.render,
    Format.GITHUB: github.render,
}

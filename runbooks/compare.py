"""Comparators that a check may name."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

COMPARATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}

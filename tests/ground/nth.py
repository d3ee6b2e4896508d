"""Breaks the n-th call to Kubernetes from now on, so that a bot can be killed in the very middle of what it does."""

from __future__ import annotations

import threading

from ground.town import Town


def the_nth_call(town: Town, n: int, fault: str) -> threading.Event:
    """Break the n-th call to Kubernetes from now on; the event tells that it has come in."""
    came = threading.Event()
    met = [0]

    def hear(call) -> None:
        met[0] += call.service == "kubernetes"
        if met[0] == n - 1:
            arm()

    def arm() -> None:
        if not came.is_set():
            town.kubernetes.faults.breaks(fault, times=1, delay=30)
            came.set()

    if n == 1:
        arm()
    else:
        town.calls.heard.append(hear)
    return came


def taken(town: Town, came: threading.Event) -> bool:
    return came.is_set() and not town.kubernetes.faults.active()

"""The clock: APScheduler says when; the engine makes sure that N replicas do it once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

MISFIRE = 300
"""Seconds a tick may be late and still counts."""


class _Durable(BaseExecutor):  # type: ignore[misc]  # the package has no type information
    """Hands each due slot to the engine under the job's name, instead of running anything here."""

    def __init__(self, ticked: Callable[[str, datetime], None]) -> None:
        super().__init__()
        self._ticked = ticked

    def _do_submit_job(self, job: Any, run_times: Sequence[datetime]) -> None:
        for slot in run_times:
            self._ticked(job.id, slot)
        self._run_job_success(job.id, [])


def build(ticks: Sequence[tuple[str, str]], ticked: Callable[[str, datetime], None]) -> BackgroundScheduler:
    """A scheduler for (name, cron line in UTC) pairs; ``start`` and ``shutdown`` are the caller's."""
    defaults = {"misfire_grace_time": MISFIRE, "coalesce": False, "max_instances": 50}
    scheduler = BackgroundScheduler(executors={"default": _Durable(ticked)}, timezone=UTC, job_defaults=defaults)
    for name, line in ticks:
        scheduler.add_job(_never, CronTrigger.from_crontab(line, timezone=UTC), id=name)
    return scheduler


def _never() -> None:
    """APScheduler wants a function; ours runs in the engine."""

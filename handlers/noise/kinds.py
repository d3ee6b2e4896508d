"""The ``noise:`` and ``maintenance:`` sections of captain.yml: what may keep an alert from waking anybody, and for how long."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bot.config import nearest
from bot.yaml_lines import Place
from handlers.noise.matchers import Matcher, read
from handlers.slo.kinds import seconds


class Inhibit(BaseModel):
    """One row of ``noise.inhibit``: an open incident that meets ``source`` holds the alerts that meet ``target``.

    ``equal``: labels in which the two must be the same. An incident has the labels service, env, severity (sev1 to sev3),
    alertname and slo; an alert its own, with service and env as the catalogue has them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: tuple[str, ...] = Field(min_length=1)
    target: tuple[str, ...] = Field(min_length=1)
    equal: tuple[str, ...] = ("env",)

    @field_validator("source", "target")
    @classmethod
    def _matchers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(read(one)) for one in value)

    @property
    def sources(self) -> tuple[Matcher, ...]:
        return tuple(read(one) for one in self.source)

    @property
    def targets(self) -> tuple[Matcher, ...]:
        return tuple(read(one) for one in self.target)


class Flap(BaseModel):
    """``noise.flap``: when an incident flaps, and for how long it has to be quiet to be over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    changes: int = Field(
        0, ge=0, le=100, description="openings and ends within that time that are flapping; 0 is never"
    )
    within: float = Field(3600.0, ge=60, le=86400, description="seconds in which they are counted")
    quiet: float = Field(600.0, gt=0, le=86400, description="seconds without a change after which it is settled")

    @field_validator("changes")
    @classmethod
    def _changes(cls, value: int) -> int:
        if value in (1, 2):
            raise ValueError("must be 3 at least, or every incident that ends would stay open; 0 is never")
        return value


class Noise(BaseModel):
    """The ``noise:`` section. Without it nothing is held but by people: maintenance and silences."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    longest: float = Field(
        86400.0, ge=60, le=30 * 86400, description="seconds a silence or maintenance by command may last at most"
    )
    cooldown: float = Field(
        0.0,
        ge=0,
        le=86400,
        description="seconds after the end of an incident in which its alerts, no worse, wait; 0 is none",
    )
    flap: Flap = Flap()
    inhibit: tuple[Inhibit, ...] = ()


DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


class Window(BaseModel):
    """One row of ``maintenance:``: once, from ``start`` to ``end``, or every week on ``days``, ``from`` to ``to``.

    Times are of ``timezone``; ``to`` before ``from`` is on the next day.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    services: tuple[str, ...] = Field((), description="whose alerts it holds; their channels hear of it")
    matchers: tuple[str, ...] = Field((), description='only alerts whose labels meet all, such as slo=~"docs-.*"')
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    days: tuple[str, ...] = Field((), description="mon, tue, wed, thu, fri, sat, sun")
    from_: str = Field("", alias="from", description="such as 02:00")
    to: str = Field("", description="such as 04:30")
    timezone: str = "UTC"
    reason: str = Field("", max_length=300)

    @field_validator("from_", "to", mode="before")
    @classmethod
    def _clock(cls, value: object) -> object:
        # YAML reads 12:30 without quotes as a number of sixtieths.
        text = f"{value // 60}:{value % 60:02d}" if isinstance(value, int) else str(value)
        if text and not CLOCK.fullmatch(text):
            raise ValueError("must be a time of day such as 02:00")
        return text

    @field_validator("days")
    @classmethod
    def _days(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for day in value:
            if day.lower() not in DAYS:
                raise ValueError(f"'{day}' must be one of {', '.join(DAYS)}")
        return tuple(day.lower() for day in value)

    @field_validator("matchers")
    @classmethod
    def _matchers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(read(one)) for one in value)

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as e:
            raise ValueError("must be a time zone such as UTC or Europe/Berlin") from e
        return value

    @model_validator(mode="after")
    def _whole(self) -> Window:
        once, weekly = (self.start, self.end), (self.days, self.from_, self.to)
        if not (all(once) and not any(weekly)) and not (all(weekly) and not any(once)):
            raise ValueError("needs either start and end, or days, from and to")
        if self.start and self.end and self._instant(self.end) <= self._instant(self.start):
            raise ValueError("ends before it starts")
        if self.from_ and self.from_ == self.to:
            raise ValueError("from and to are the same, so it has no length")
        if not self.services and all(one.matches({}) for one in self.conditions):
            raise ValueError("would hold every alert there is: name services, or a matcher that asks for something")
        return self

    @property
    def conditions(self) -> tuple[Matcher, ...]:
        """``matchers``, read."""
        return tuple(read(one) for one in self.matchers)

    def at(self, now: float) -> tuple[float, float] | None:
        """The start and end (UNIX s) of the time it is on, when it is on ``now``."""
        return next((span for span in self.around(now) if span[0] <= now < span[1]), None)

    def after(self, now: float) -> tuple[float, float] | None:
        """The start and end of the next time it is on, within eight days; or None."""
        return next((span for span in self.around(now) if span[0] > now), None)

    def around(self, now: float) -> Iterator[tuple[float, float]]:
        """The times it is on, from yesterday's until eight days from ``now``, in order."""
        if self.start and self.end:
            yield self._instant(self.start), self._instant(self.end)
            return
        zone = ZoneInfo(self.timezone)
        today = dt.datetime.fromtimestamp(now, zone).date()
        for ahead in range(-1, 9):
            day = today + dt.timedelta(days=ahead)
            if DAYS[day.weekday()] in self.days:
                begins, ends = _time(self.from_), _time(self.to)
                last = day + dt.timedelta(days=ends <= begins)
                yield (
                    dt.datetime.combine(day, begins, zone).timestamp(),
                    dt.datetime.combine(last, ends, zone).timestamp(),
                )

    def _instant(self, at: dt.datetime) -> float:
        return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(self.timezone))).timestamp()


def _time(text: str) -> dt.time:
    hour, _, minute = text.partition(":")
    return dt.time(int(hour), int(minute))


def misfits(windows: Mapping[str, Window], depends_on: Mapping[str, Collection[str]]) -> Iterator[tuple[Place, str]]:
    """Mistakes that no single section can see. ``depends_on``: for each service, what it depends on."""
    services = list(depends_on)
    for name, parents in depends_on.items():
        for one in parents:
            if one == name:
                yield ("services", name, "depends_on"), "names the service itself"
            elif one not in services:
                yield ("services", name, "depends_on"), f"'{one}' is not a service.{nearest(one, services)}"
    for name, window in windows.items():
        for one in window.services:
            if one not in services:
                yield ("maintenance", name, "services"), f"'{one}' is not a service.{nearest(one, services)}"


def seconds_of(text: str) -> float | None:
    """Seconds of a length of time such as 90s, 30m, 1h30m or 2d; None when it is none."""
    try:
        return float(seconds(text.lower()))
    except ValueError:
        return None

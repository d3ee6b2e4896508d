"""Prometheus: what can be asked of the metrics, by whom, and with which settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, SecretStr


@dataclass(frozen=True)
class Sample:
    """One series of an instant answer. ``at`` UNIX seconds; ``value`` may be NaN and must then count as unknown."""

    labels: Mapping[str, str]
    at: float
    value: float


@dataclass(frozen=True)
class Series:
    """One series of a range answer: (UNIX seconds, value) pairs, oldest first."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Answer:
    """An instant answer. Empty ``samples`` is "no data"; ``warnings`` mean the answer may be partial: neither is a zero."""

    samples: Sequence[Sample]
    warnings: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class RangeAnswer:
    """A range answer; ``warnings`` as in Answer."""

    series: Sequence[Series]
    warnings: Sequence[str] = field(default_factory=tuple)


class Metrics(Protocol):
    """What the bot asks of Prometheus. Every call has a hard timeout and raises Retry or GiveUp, never an SDK error."""

    def query(self, expr: str, *, at: float | None = None) -> Answer: ...

    def query_range(self, expr: str, *, start: float, end: float, step: float) -> RangeAnswer: ...

    def ping(self) -> str:
        """One cheap call that proves it answers; returns its version."""
        ...


class PrometheusSettings(BaseModel):
    """The ``prometheus:`` section of captain.yml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    bearer_token: SecretStr | None = None
    timeout: float = Field(5.0, gt=0, le=60, description="seconds a query may take")

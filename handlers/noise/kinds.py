"""The ``noise:`` and ``maintenance:`` sections of captain.yml: what may keep an alert from waking anybody, and for how long."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from handlers.slo.kinds import seconds


class Noise(BaseModel):
    """The ``noise:`` section. Without it nothing is held but by people: maintenance and silences."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    longest: float = Field(
        86400.0, ge=60, le=30 * 86400, description="seconds a silence or maintenance by command may last at most"
    )


def seconds_of(text: str) -> float | None:
    """Seconds of a length of time such as 90s, 30m, 1h30m or 2d; None when it is none."""
    try:
        return float(seconds(text.lower()))
    except ValueError:
        return None

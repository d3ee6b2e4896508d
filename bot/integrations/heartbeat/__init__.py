"""The heartbeat: whom the bot tells that it works, so that somebody else is alarmed when it does not. With its settings."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, TypeAdapter, ValidationError, field_validator


class Heartbeat(Protocol):
    """A dead-man's switch outside, such as Healthchecks, Dead Man's Snitch or Cronitor."""

    def beat(self) -> None:
        """Tell it once that the bot works. Takes ``timeout`` seconds at most and raises Retry or GiveUp."""
        ...


class HeartbeatSettings(BaseModel):
    """The ``heartbeat:`` section of captain.yml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr = Field(description="the address to call; whoever knows it can keep the switch quiet")
    every: int = Field(60, ge=60, le=86400, multiple_of=60, description="seconds between two calls: whole minutes")
    timeout: float = Field(5.0, gt=0, le=30, description="seconds a call may take")
    withhold_after: float = Field(
        300.0, ge=30, description="seconds a page may be owed; when one is owed for longer, no heartbeat is sent"
    )

    @field_validator("url")
    @classmethod
    def _address(cls, value: SecretStr) -> SecretStr:
        try:
            TypeAdapter(HttpUrl).validate_python(value.get_secret_value())
        except ValidationError:
            raise ValueError("must be an address such as https://hc-ping.com/your-uuid") from None
        return value

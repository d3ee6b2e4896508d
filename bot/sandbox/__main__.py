"""Runs ``captain sandbox`` and its sub-commands."""

from __future__ import annotations

from bot.sandbox.cli import sandbox_app

if __name__ == "__main__":
    sandbox_app()(prog_name="captain sandbox")

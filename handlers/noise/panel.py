"""What the panel of an incident shows of noise control: who has silenced it, and until when."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from handlers.incidents.words import Blocks
from handlers.noise import table, words


def blocks(c: Connection, row: Any) -> Blocks:
    """The blocks about an incident, ``row``; few or none."""
    made: Blocks = []
    silence = table.of_key(c, f"silence/{row.key}")
    if silence is not None:
        made.append(words.on_panel(silence, row))
    return made

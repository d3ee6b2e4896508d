"""What the panel of an incident shows of noise control: who has silenced it, and until when."""

from __future__ import annotations

from collections import Counter
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
    held = Counter(one.service for one in table.behind(c, row.number)) if row.open_key else Counter()
    if held:
        made.append(words.behind(held))
    state = table.flap(c, row.number) if row.open_key else None
    if state is not None and state.over_at is None:
        made.append(words.flaps(state))
    return made

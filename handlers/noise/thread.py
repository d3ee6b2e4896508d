"""The verbs of ``incident`` that silence one from its thread."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from bot.errors import Refused
from bot.grammar import Asker, Reply, Verb
from handlers.desk import Desk
from handlers.incidents import commands
from handlers.incidents import table as incidents
from handlers.noise import silencing, words
from handlers.noise.commands import length, plain
from handlers.noise.kinds import seconds_of

REF = re.compile(r"(?:inc-|#)\d{1,9}", re.IGNORECASE)


def silence(desk: Desk, asker: Asker, duration: str = "", incident: str = "", *reason: str) -> Reply:
    """Silence an incident's alerts, such as 2h: what is no worse wakes nobody, here and in Alertmanager; alone, it offers lengths."""
    said = [one for one in (duration, incident, *reason) if one]
    refs = [one for one in said[:2] if REF.fullmatch(one.strip("*`"))]
    long = next((one for one in said[:2] if seconds_of(one) is not None), "")
    with desk.store.read() as c:
        number = int(commands.meant(desk, c, asker, refs[0] if refs else "").number)
    rest = [one for one in said if one not in refs[:1] and one != long]
    if not long:
        if rest:
            raise Refused(f"How long? `incident silence 2h INC-{number} {' '.join(rest)[:60]}`. Nothing was silenced.")
        text, blocks = words.choices(number, desk.noise.longest)
        return Reply(text, blocks)
    seconds, now = length(desk, long), time.time()
    with desk.engine.transaction(now) as tx:
        row = incidents.locked(tx.c, number)
        made = silencing.silence(desk, tx, asker, row, seconds=seconds, reason=" ".join(" ".join(rest).split())[:500])
        real = silencing.through(desk, tx.c, number)
    text, _ = words.silenced(made, "Silenced", real=real)
    return Reply(f"INC-{number}: {words.utc(text)}", data=plain(made))


def unsilence(desk: Desk, asker: Asker, incident: str = "") -> Reply:
    """End an incident's silence now, here and in Alertmanager: what still fires is acted on at once."""
    now = time.time()
    with desk.store.read() as c:
        number = int(commands.meant(desk, c, asker, incident).number)
    with desk.engine.transaction(now) as tx:
        made, done = silencing.unsilence(desk, tx, asker, incidents.locked(tx.c, number))
    if made is None:
        return Reply(f"INC-{number} is not silenced, and never was. Nothing was changed.")
    if not done:
        return Reply(f"INC-{number} is not silenced any more: {words.utc(words.over(made))}", data=plain(made))
    return Reply(f"INC-{number}: its silence has ended; what still fires is acted on now.", data=plain(made))


VERBS: Mapping[str, Verb] = {"silence": silence, "unsilence": unsilence}

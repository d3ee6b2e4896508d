"""The verb of ``status``: gives the signed link, and says the same as the page in a few lines."""

from __future__ import annotations

import time
from collections.abc import Mapping

from bot.errors import Refused
from bot.grammar import Asker, Duration, Reply, Verb
from bot.integrations.slack.words import escape
from handlers.desk import Desk
from handlers.flags.rules import seconds_of
from handlers.incidents import table, words
from handlers.status import seal

LONGEST = 7 * 86400.0
"""Seconds a link may be good for: whoever has it can read, and it cannot be taken back but by a new secret."""


def status(desk: Desk, _asker: Asker, *, for_: Duration = "12h") -> Reply:
    """Give a signed link to the page of open incidents, which needs no Slack and no account; at most for a week."""
    seconds = seconds_of(for_)
    if seconds is None or not 0 < seconds <= LONGEST:
        raise Refused(
            f"--for must be a length of time up to {words.duration(LONGEST)}, such as 12h; it is '{for_[:40]}'."
        )
    if desk.status_secret is None:
        raise Refused("The status page is off: set captain.status_secret in captain.yml to a long random text.")
    if not desk.public_url:
        raise Refused("captain.public_url is not set in captain.yml, so I cannot say where the page is.")
    until = int(time.time() + seconds)
    link = seal.link(desk.public_url, desk.status_secret.get_secret_value(), until=until)
    with desk.store.read() as c:
        rows = table.open_incidents(c, limit=100)
    said = f"{len(rows)} open" if rows else "Nothing is open"
    text = f"{said}. The page, good for {words.duration(seconds)}: {escape(link)}\nWhoever has the link can read it."
    return Reply(text, data={"link": link, "until": until, "open": len(rows)})


VERBS: Mapping[str, Verb] = {"": status}

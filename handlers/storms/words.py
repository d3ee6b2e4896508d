"""What is said of a storm: its title, its table, and what the incidents that are folded into it say instead of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.integrations.slack.words import clip, escape
from handlers.catalogue import Storm
from handlers.incidents import words
from handlers.incidents.latest import one_line
from handlers.incidents.rules import Severity, Status
from handlers.incidents.words import STATUS_ICON, Blocks
from handlers.storms.table import SOURCE, Tally

OURS = re.compile(r"Storm: .+ (?:in|of) .+")
"""A title that we gave; one that a person gave stays."""
SERVICES, NEWEST, APART = 12, 8, 15
"""Services, members and incidents of their own that the table shows; the rest is counted."""
LISTED = 50
"""Members that ``incident show`` lists."""
NAME, TITLE = 24, 100
"""Characters of a service's name and of a member's title in the table."""


def opening(rule: Storm) -> str:
    """The title with which a storm pages: ``Storm: more than 20 incidents in 1 min``."""
    return f"Storm: more than {rule.keys} incidents in {words.duration(rule.within)}"


def title(found: Sequence[Tally]) -> str:
    """Its title from then on: ``Storm: 37 incidents of 12 services``."""
    services = len({one.service for one in found})
    members = _n(sum(one.count for one in found), "incident")
    return f"Storm: {members} of {_n(services, 'service')}"


def description(before: Sequence[Any]) -> str:
    """What the umbrella's page and ticket say beside the title, plain."""
    own = ", ".join(f"INC-{row.number}" for row in before[:APART])
    more = f" and {len(before) - APART} more" if len(before) > APART else ""
    first = f" Those that opened before it keep their own pages and threads: {own}{more}." if before else ""
    return (
        "What alerts open from now on is folded in here, one incident each, and pages nobody by itself; the first of "
        f"a service whose on-call was not called yet pages them.{first}"
    )


def reason(rule: Storm) -> str:
    """Why a storm pages."""
    return f"more than {rule.keys} incidents opened within {words.duration(rule.within)}"


def folded(umbrella: int) -> str:
    """What is decided about paging for an incident of a storm."""
    return f"pages nobody: it is folded into the storm INC-{umbrella}"


def called(umbrella: int, caller: int, service: str) -> str:
    """Why that keeps nobody asleep: whose page has called the service's on-call."""
    if caller == umbrella:
        return f"it is folded into the storm INC-{umbrella}, whose page calls the on-call of {service}"
    return f"it is folded into the storm INC-{umbrella}, and INC-{caller} has called the on-call of {service}"


def quiet(umbrella: int) -> str:
    """The same of an incident that would page nobody anyway."""
    return f"its thread and its ticket are the storm's, INC-{umbrella}"


def held(number: int, count: int) -> str:
    """Why an incident whose own alerts have ended is not over: it stands for others, whose on-call would be left alone."""
    return (
        f"nothing of INC-{number} fires any more; it stays open while its page stands for {_n(count, 'more incident')} of its "
        "service in the storm"
    )


def stands_for(umbrella: int, service: str) -> str:
    """What the panel of an incident says whose page has called the on-call of a service in a storm, mrkdwn."""
    return f"*In the storm INC-{umbrella}:* what else of {escape(service)} pages there is folded in and has this page."


# ---- asked before something ends ----------------------------------------------------------------------------------------


def carries(row: Any, count: int) -> tuple[str, Blocks]:
    """Asks whether an incident is to be resolved whose page others depend on. (text, blocks)."""
    ref = f"INC-{row.number}"
    if row.source == SOURCE:
        what = (
            f"{_n(count, 'incident')} of it {_are(count)} still open. If you resolve it all the same, they end with it"
        )
    else:
        what = (
            f"{_n(count, 'incident')} of {escape(row.service)} in the storm {_are(count)} open and {_have(count)} no page "
            "but this one's. If you resolve it all the same, they stay open without one"
        )
    text = f"{ref} stays open: {what}: nobody is paged for what fires now until it has ended and starts anew."
    confirm = words.button("Resolve anyway", "incident resolve --anyway", ref)
    said = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    blocks: Blocks = [said, {"type": "actions", "block_id": "still-fires", "elements": [confirm]}]
    return f"{text} `incident resolve {ref} --anyway` does it.", blocks


def lose_their_page(row: Any, count: int) -> str:
    """What somebody must know who has resolved it all the same."""
    if row.source == SOURCE:
        return (
            f" ⚠ {_n(count, 'incident')} of it {_are(count)} resolved with it: nobody is paged for what still fires there "
            "until it has ended and starts anew."
        )
    return f" ⚠ {_n(count, 'incident')} of {escape(row.service)} in the storm {_have(count)} no page now; what is new there pages."


def stays_over(number: int) -> str:
    """Why nobody reopens a storm."""
    return (
        f"INC-{number} was a storm, and a storm is not reopened: what burns again opens anew and pages, in a storm of its own "
        "where it must. `incident open` opens one by hand."
    )


def not_of_its_own(row: Any) -> str:
    """Why nothing is owed for an incident that is folded in, and how that is changed."""
    return (
        f"INC-{row.number} is folded into the storm INC-{row.umbrella}, whose page, thread and ticket are also its. "
        f"`incident unfold INC-{row.number}` gives it its own."
    )


# ---- the table ----------------------------------------------------------------------------------------------------------


def table(number: int, found: Sequence[Tally], newest: Sequence[Any], apart: Mapping[str, int]) -> Blocks:
    """What the umbrella's panel shows beside the usual. ``newest``: open members. ``apart``: service → who pages for it."""
    lasting = sum(one.count for one in found if one.open)
    total = sum(one.count for one in found)
    head = f"*{lasting} of {_n(total, 'incident')} {_are(lasting)} still open*"
    blocks: Blocks = [_section(f"{head}\n{_counted(found)}")] if found else [_section("*Nothing is folded in here*")]
    if newest:
        lines = [line(row) for row in newest[:NEWEST]]
        left = lasting - len(lines)
        lines += [f"… and {left} more: `incident show INC-{number}`"] if left > 0 else []
        blocks.append(_section("\n".join(["*Newest*", *lines])))
    if apart:
        own = [f"INC-{incident} ({escape(clip(service, NAME))})" for service, incident in list(apart.items())[:APART]]
        more = f" and {len(apart) - APART} more" if len(apart) > APART else ""
        blocks.append(_section(f"*Called by pages of their own:* {', '.join(own)}{more}"))
    return blocks


def _counted(found: Sequence[Tally]) -> str:
    """Open members by service and severity, and how many are over, in a code block, the most open first."""
    by: dict[str, dict[str, int]] = {}
    for one in found:
        counts = by.setdefault(one.service, dict.fromkeys(("open", *Severity, "over"), 0))
        for name in ("open", one.severity) if one.open else ("over",):
            counts[name] += one.count
    rows = sorted(by.items(), key=lambda item: (-item[1]["open"], -item[1]["over"], item[0]))
    drawn = [("service", *(str(name) for name in ("open", *Severity, "over")))]
    drawn += [(one_line(clip(name, NAME)), *(str(n) for n in counts.values())) for name, counts in rows[:SERVICES]]
    wide = [max(len(row[n]) for row in drawn) for n in range(len(drawn[0]))]
    lines = [
        f"{row[0]:<{wide[0]}}  " + "  ".join(f"{cell:>{wide[n]}}" for n, cell in enumerate(row[1:], 1)) for row in drawn
    ]
    lines += [f"… and {_n(len(rows) - SERVICES, 'service')} more"] if len(rows) > SERVICES else []
    return "\n".join(["```", *(escape(one).replace("`", "'") for one in lines), "```"])


def line(row: Any) -> str:
    """One member on one line, mrkdwn."""
    name, what = escape(clip(one_line(row.service), NAME)), escape(clip(one_line(row.title), TITLE))
    return f"{STATUS_ICON[Status(row.status)]} INC-{row.number} {row.severity} {name}: {what}"


def listed(number: int, lasting: int, members: Sequence[Any]) -> list[str]:
    """The open members for whoever asks for all, a line each, mrkdwn."""
    lines = [line(row) for row in members[:LISTED]]
    left = lasting - len(lines)
    return [*lines, *([f"… and {left} more: `captain --json incident show INC-{number}`"] if left > 0 else [])]


def member(storm: Any) -> str:
    """What the panel of a member says of its storm, mrkdwn: whoever has the storm has this, too."""
    return f"*Folded into* INC-{storm.number} ({escape(words.standing(storm))}): its page, thread and ticket are also this one's."


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _n(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _have(count: int) -> str:
    return "has" if count == 1 else "have"

"""What must be true outside after any chaos, judged from what the stand-ins hold alone: pure, so that it can be proved."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Wrong(StrEnum):
    """The ways in which the outside can be wrong; the values are the names of the counts in chaos.json."""

    LOST = "lost"
    DUPLICATE_PAGE = "duplicate_pages"
    DUPLICATE_TICKET = "duplicate_tickets"
    DUPLICATE_ROOT = "duplicate_roots"
    DUPLICATE_NOTE = "duplicate_notes"
    UNTRUE_PANEL = "untrue_panels"
    LEFT_ON = "left_on"


TWICE = (Wrong.DUPLICATE_PAGE, Wrong.DUPLICATE_TICKET, Wrong.DUPLICATE_ROOT, Wrong.DUPLICATE_NOTE)
"""What time does not heal. The others may be only on their way."""
UNSURE = "resolved before PagerDuty confirmed the page"
FLAG_OVER = ("is off since", "was not switched on")


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong, about the opening named by ``token``, in a sentence."""

    wrong: Wrong
    token: str
    said: str


@dataclass(frozen=True)
class Owed:
    """What the outside owes one opening of an incident, by what the bot has acknowledged about it.

    ``fickle``: it ended so soon that nobody had to be told; then everything may be missing, and nothing may be left open.
    ``acked`` and ``resolved``: the bot has answered that it took the deed. ``asked``: somebody pressed the button and
    never heard, so that both are right. ``checked``: its service has a runbook.
    """

    token: str
    pages: bool = True
    checked: bool = False
    acked: bool = False
    asked: bool = False
    resolved: bool = False
    fickle: bool = False


@dataclass(frozen=True)
class OwedFlag:
    """What is owed a switching-on: one message, which says in the end that it is off, or that it never was on."""

    token: str


@dataclass(frozen=True)
class Page:
    """An incident at PagerDuty. ``status``: triggered, acknowledged or resolved."""

    key: str
    status: str


@dataclass(frozen=True)
class Ticket:
    """An issue at Jira. ``done``: its status is of the category done."""

    key: str
    done: bool


@dataclass(frozen=True)
class Root:
    """A root message in Slack: all that is shown of it, and its thread as (metadata key, text)."""

    place: str
    shown: str
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Seen:
    """What the stand-ins hold, by the token in each title; ``flags`` are the messages of flags.

    ``left_on``: what is switched on that was off before.
    """

    pages: Mapping[str, Sequence[Page]] = field(default_factory=dict)
    tickets: Mapping[str, Sequence[Ticket]] = field(default_factory=dict)
    roots: Mapping[str, Sequence[Root]] = field(default_factory=dict)
    flags: Mapping[str, Sequence[Root]] = field(default_factory=dict)
    left_on: Sequence[str] = ()


def judge(owed: Iterable[Owed | OwedFlag], seen: Seen) -> list[Violation]:
    """Everything that is wrong; empty when every promise is kept."""
    found: list[Violation] = []
    expected = list(owed)
    for one in expected:
        found += about(one, seen)
    known = {one.token for one in expected}
    for held in (seen.pages, seen.tickets, seen.roots, seen.flags):
        found += [Violation(Wrong.LOST, token, "was never asked for") for token in held if token not in known]
    found += [Violation(Wrong.LEFT_ON, "", said) for said in seen.left_on]
    return found


def about(one: Owed | OwedFlag, seen: Seen) -> list[Violation]:
    """What is wrong about one opening, or one switching-on."""
    told = _about_flag(one, seen) if isinstance(one, OwedFlag) else _about(one, seen)
    return [Violation(wrong, one.token, said) for wrong, said in told]


def counts(violations: Iterable[Violation]) -> dict[str, int]:
    """How often each kind is wrong, every kind named."""
    counted = Counter(violation.wrong for violation in violations)
    return {wrong.value: counted[wrong] for wrong in Wrong}


def missing(violations: Iterable[Violation]) -> list[Violation]:
    """Those that may be on their way still."""
    return [violation for violation in violations if violation.wrong not in TWICE]


def gathered(pairs: Iterable[tuple[str, object]]) -> dict[str, list]:
    """(token, thing) pairs by token."""
    found: dict[str, list] = defaultdict(list)
    for token, thing in pairs:
        found[token].append(thing)
    return dict(found)


def _about(one: Owed, seen: Seen) -> Iterator[tuple[Wrong, str]]:
    pages, tickets = seen.pages.get(one.token, ()), seen.tickets.get(one.token, ())
    roots = seen.roots.get(one.token, ())
    yield from _pages(one, pages)
    yield from _tickets(one, tickets)
    if len(roots) > 1:
        yield (
            Wrong.DUPLICATE_ROOT,
            f"{len(roots)} root messages: {', '.join(f'{root.place} {root.shown[:90]!r}' for root in roots)}",
        )
    if not roots and not one.fickle:
        yield Wrong.LOST, "no root message"
    for root in roots:
        yield from _thread(one, root)
        said = untrue(one, root.shown, paged=bool(pages), ticketed=bool(tickets))
        if said:
            yield Wrong.UNTRUE_PANEL, f"the panel {said}"


def _about_flag(one: OwedFlag, seen: Seen) -> Iterator[tuple[Wrong, str]]:
    roots = seen.flags.get(one.token, ())
    if len(roots) > 1:
        yield Wrong.DUPLICATE_ROOT, f"{len(roots)} messages of the flag: {', '.join(root.place for root in roots)}"
    if not roots:
        yield Wrong.LOST, "no message of the flag"
    for root in roots:
        yield from _keys(root)
        if not any(said in root.shown for said in FLAG_OVER):
            yield Wrong.UNTRUE_PANEL, "the message of the flag does not say that it is over"


def _pages(one: Owed, pages: Sequence[Page]) -> Iterator[tuple[Wrong, str]]:
    if len(pages) > 1:
        yield Wrong.DUPLICATE_PAGE, f"{len(pages)} pages: {', '.join(f'{p.key} {p.status}' for p in pages)}"
    if not one.pages:
        if pages:
            yield Wrong.DUPLICATE_PAGE, "somebody was paged for what pages nobody"
        return
    if not pages:
        if not one.fickle:
            yield Wrong.LOST, "nobody was paged"
        return
    if one.resolved and any(page.status != "resolved" for page in pages):
        yield Wrong.LOST, "the page was not resolved"
    if not one.resolved and any(page.status == "resolved" for page in pages):
        yield Wrong.LOST, "the page was resolved while it burns"
    if one.acked and not one.resolved and any(page.status == "triggered" for page in pages):
        yield Wrong.LOST, "the page was not acknowledged"


def _tickets(one: Owed, tickets: Sequence[Ticket]) -> Iterator[tuple[Wrong, str]]:
    if len(tickets) > 1:
        yield Wrong.DUPLICATE_TICKET, f"{len(tickets)} tickets: {', '.join(ticket.key for ticket in tickets)}"
    if not tickets and not one.fickle:
        yield Wrong.LOST, "no ticket"
    if one.resolved and any(not ticket.done for ticket in tickets):
        yield Wrong.LOST, "the ticket is not done"
    if not one.resolved and any(ticket.done for ticket in tickets):
        yield Wrong.LOST, "the ticket is done while it burns"


def _thread(one: Owed, root: Root) -> Iterator[tuple[Wrong, str]]:
    yield from _keys(root)
    texts = [text for _, text in root.notes]
    wanted = {
        "Resolved": one.resolved,
        "Acknowledged": one.acked,
        "Checks of": one.checked,
    }
    for said, due in wanted.items():
        count = sum(said in text for text in texts)
        if count > 1:
            yield Wrong.DUPLICATE_NOTE, f"the thread says '{said}' {count} times"
        if due and count == 0 and not one.fickle:
            yield Wrong.LOST, f"the thread does not say '{said}'"


def _keys(root: Root) -> Iterator[tuple[Wrong, str]]:
    keys = Counter(key for key, _ in root.notes if key)
    for key, count in keys.items():
        if count > 1:
            yield Wrong.DUPLICATE_NOTE, f"the note {key} stands {count} times in the thread"


def untrue(one: Owed, shown: str, *, paged: bool, ticketed: bool) -> str:
    """What the panel says wrongly, by the words its readers see; empty when it tells the truth."""
    if "⏳" in shown or "on its way" in shown:
        return "still says that something is on its way"
    status = "resolved by" if one.resolved else "acknowledged by" if one.acked else "nobody has it yet"
    taken = one.asked and not one.resolved and "acknowledged by" in shown
    if status not in shown and not taken:
        return f"does not say '{status}'"
    # What ended before PagerDuty's answer came may have been paged or not; the panel says just that.
    unsure = one.resolved and UNSURE in shown
    ticks = {
        "PagerDuty ✔": paged and one.pages and not unsure,
        "Jira ✔": ticketed,
        "PagerDuty resolve ✔": paged and one.resolved,
        "Jira done ✔": ticketed and one.resolved,
    }
    for tick, due in ticks.items():
        if due and tick not in shown:
            return f"does not say '{tick}'"
    if "PagerDuty ✔" in shown and not paged:
        return "says that PagerDuty took a page it does not have"
    if "Jira ✔" in shown and not ticketed:
        return "says that Jira has a ticket it does not have"
    return ""

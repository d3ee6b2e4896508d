"""What a look at an SLO changes: which of its tiers begin and end, and since when nothing is known; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from handlers.slo import budget
from handlers.slo.budget import UNKNOWN, Reading
from handlers.slo.kinds import MISSING, Slo, Tier, seconds

CALM_LOOKS = 3
"""Looks in a row in which a tier is known not to burn, after which it is over: at the edge it would end and begin in turns."""
BLIND_LOOKS = 3
"""Looks in a row without a measurement, after which it is said; one scrape that failed is nothing to speak of."""
EVERY_S, SELDOM_S, SHARE = 60, 1800, 60
"""A window is asked for after a sixtieth of its length: no more often than each minute, no less than each half an hour."""
HASTE = 6
"""How many times as often a long window is asked for while its short one burns."""
AGAIN_S = 300
"""Seconds after which a long window that could not be told is asked for again: it may be what Prometheus chokes on."""
SLACK_S = 30
"""Seconds by which a look may come early, and is still the next one."""
LONG_S = 6 * 3600
"""Longer windows are asked for one by one: none of them may be why the short ones are not told."""


@dataclass(frozen=True)
class Heard:
    """What one window said, at UNIX s. ``bad`` and ``total`` None: nothing that could be reckoned with."""

    at: float
    bad: float | None = None
    total: float | None = None

    @property
    def reading(self) -> Reading:
        return budget.reading(self.total, self.bad)


@dataclass(frozen=True)
class Fired:
    """An alert of ours that fires. ``since``: µs since the epoch; ``calm``: looks in a row that would end it.

    The rest is the alert as it began, so that its end is the same alert's, whatever became of captain.yml meanwhile.
    """

    since: int
    calm: int = 0
    service: str = ""
    fingerprint: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class State:
    """What is kept of an SLO between two looks.

    ``windows``: by length in s. ``fired``: by the tier's name, or MISSING. ``blind``: looks in a row without a measurement,
    since ``blind_since`` (UNIX s) and because of ``why``. ``paged_at``: UNIX s when its last page tier ended.
    """

    windows: Mapping[int, Heard] = field(default_factory=dict)
    fired: Mapping[str, Fired] = field(default_factory=dict)
    blind: int = 0
    blind_since: float | None = None
    why: str = ""
    paged_at: float | None = None

    def text(self) -> str:
        """As JSON, for the table."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def of(cls, text: str) -> State:
        """What ``text`` gave."""
        told: dict[str, Any] = json.loads(text)
        windows = {int(length): Heard(**one) for length, one in told.pop("windows").items()}
        return cls(windows=windows, fired={name: Fired(**one) for name, one in told.pop("fired").items()}, **told)


def lengths(slo: Slo) -> list[int]:
    """The windows that an SLO's tiers, its budget and its silence are reckoned from, in s, the shortest first."""
    needed = {length for tier in slo.all_tiers for length in (tier.long_s, tier.short_s)}
    return sorted(needed | {slo.window_s} | ({seconds(slo.silent_after)} if slo.silent_after else set()))


def fastest(slo: Slo) -> Tier:
    """The tier with the shortest window: what burns now."""
    return min(slo.all_tiers, key=lambda tier: (tier.short_s, tier.long_s))


def every(length: int) -> int:
    """Seconds after which a window is asked for again."""
    return max(EVERY_S, min(SELDOM_S, length // SHARE))


def due(slo: Slo, state: State, now: float) -> list[int]:
    """The windows to ask for now, in s."""
    return [length for length in lengths(slo) if _due(length, state.windows.get(length), now)]


def _due(length: int, last: Heard | None, now: float) -> bool:
    if last is None:
        return True
    wait = every(length) if last.reading.known else min(every(length), AGAIN_S if length > LONG_S else EVERY_S)
    # One from a time to come is from before the clock was set back.
    return not 0 <= now - last.at < wait - SLACK_S


def hot(slo: Slo, state: State, now: float) -> list[int]:
    """Long windows that decide whether a tier begins, as its short one burns already, and that were not asked just now."""
    found = set()
    for tier in slo.all_tiers:
        speed = budget.burn(recent(state, tier.short_s, now), slo.budget)
        last = state.windows.get(tier.long_s)
        # What burns in the short window for days must not make three days a question of each minute.
        wait = max(EVERY_S, every(tier.long_s) // HASTE) - SLACK_S
        lately = last is not None and 0 <= now - last.at < wait
        if tier.name not in state.fired and speed is not None and speed >= tier.burn and not lately:
            found.add(tier.long_s)
    return sorted(found)


def batches(wanted: Sequence[int]) -> list[list[int]]:
    """The windows that are asked for together: the short ones in one call, each long one in its own."""
    short = [length for length in wanted if length <= LONG_S]
    return [*([short] if short else []), *([length] for length in wanted if length > LONG_S)]


def recent(state: State, length: int, now: float) -> Reading:
    """What a window said, unless that is too long ago to mean anything now."""
    last = state.windows.get(length)
    if last is None or now - last.at > 2 * every(length) + 2 * EVERY_S:
        return UNKNOWN
    return last.reading


@dataclass(frozen=True)
class Change:
    """An alert that begins or ends. ``tier``: None for the one that says that nothing is known."""

    name: str
    tier: Tier | None
    begins: bool


def look(slo: Slo, state: State, now: float) -> tuple[State, list[Change]]:
    """What a look changes, given a state with what it heard; the worst begins first."""
    seen = _blind(slo, state, now)
    changes = [*_tiers(slo, seen, now), *_missing(slo, seen, now)]
    ended = {change.name for change in changes if not change.begins}
    fired = {name: _calmer(slo, seen, name, one, now) for name, one in seen.fired.items() if name not in ended}
    paged = {tier.name for tier in slo.all_tiers if tier.severity == "page"}
    last_page = bool(ended & paged) and not paged & fired.keys()
    return replace(seen, fired=fired, paged_at=now if last_page else seen.paged_at), changes


def measured(slo: Slo, state: State, now: float) -> bool:
    """True when the shortest window can be reckoned with: the others still live on what was scraped before."""
    return recent(state, lengths(slo)[0], now).known


def _blind(slo: Slo, state: State, now: float) -> State:
    if measured(slo, state, now):
        return replace(state, blind=0, blind_since=None, why="")
    since = now if state.blind_since is None else min(state.blind_since, now)
    return replace(state, blind=state.blind + 1, blind_since=since)


def _tiers(slo: Slo, state: State, now: float) -> Iterator[Change]:
    paging = any(tier.severity == "page" and tier.name in state.fired for tier in slo.all_tiers)
    for tier in sorted(slo.all_tiers, key=lambda one: (one.severity != "page", one.long_s)):
        burns = _burns(slo, state, tier, now)
        fired = state.fired.get(tier.name)
        if fired is None and burns:
            if tier.severity == "page":
                paging = True
            elif paging or _echo(tier, state, now):
                continue
            yield Change(tier.name, tier, begins=True)
        elif fired is not None and burns is False and fired.calm + 1 >= CALM_LOOKS:
            yield Change(tier.name, tier, begins=False)


def _echo(tier: Tier, state: State, now: float) -> bool:
    """True while a ticket's short window still holds what was paged for: the burst is over, and is no slow burn.

    Otherwise each burst of minutes would keep its incident open for the six hours of the slowest tier.
    """
    return state.paged_at is not None and 0 <= now - state.paged_at < tier.short_s


def _burns(slo: Slo, state: State, tier: Tier, now: float) -> bool | None:
    if not measured(slo, state, now):
        return None
    return budget.fires(tier, slo.budget, recent(state, tier.long_s, now), recent(state, tier.short_s, now))


def _calmer(slo: Slo, state: State, name: str, one: Fired, now: float) -> Fired:
    tier = next((tier for tier in slo.all_tiers if tier.name == name), None)
    burns = _burns(slo, state, tier, now) if tier else None
    if burns is None:
        return one
    return replace(one, calm=0 if burns else one.calm + 1)


def _missing(slo: Slo, state: State, now: float) -> Iterator[Change]:
    fires = MISSING in state.fired
    silent = silence(slo, state, now)
    if not fires and (blind_too_long(slo, state, now) or silent):
        yield Change(MISSING, None, begins=True)
    elif fires and not state.blind and silent is False:
        yield Change(MISSING, None, begins=False)


def blind_too_long(slo: Slo, state: State, now: float) -> bool:
    """True when there was no measurement for as long as the SLO allows."""
    since = state.blind_since
    return since is not None and state.blind >= BLIND_LOOKS and now - since >= seconds(slo.missing_after)


def silence(slo: Slo, state: State, now: float) -> bool | None:
    """Whether no event at all was counted for ``silent_after``; None when that is not known."""
    if not slo.silent_after:
        return False
    found = recent(state, seconds(slo.silent_after), now)
    return None if found.total is None else found.total == 0

"""Mistakes in ``slos:`` that the section alone cannot see, each as a sentence that says what would do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bot.config import nearest
from handlers.catalogue import Policy, Service
from handlers.incidents.grouping import parse
from handlers.incidents.rules import Severity
from handlers.slo.kinds import MARK, QUOTED, SUMMED_FROM, SUMMED_STEP, Slo, Tier, kinds, labels, seconds, span

Place = tuple[str | int, ...]
NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,62}")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
LINK = re.compile(r"https?://\S+")
TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
RANGE = re.compile(r"\[\s*([0-9][0-9a-z]*)\s*[\]:]")
RANGED = re.compile(r"\[\s*\{\{\s*window\s*\}\}\s*[\]:]")


def misfits(
    slos: Mapping[str, Slo], services: Mapping[str, Service], policy: Policy, *, pager: bool, metrics: bool
) -> Iterator[tuple[Place, str]]:
    """(place, sentence) for each mistake. ``pager``, ``metrics``: pagerduty: and prometheus: are there."""
    for label, pages in (("page", True), ("ticket", False)) if slos else ():
        severity = policy.severities.get(label, Severity.SEV2)
        if severity.pages is not pages:
            why = f"'{label}' is {severity.value}, which {'pages' if severity.pages else 'pages nobody'}: give the alerts of slos: "
            yield ("incidents", "severities"), f"{why}{label}: {'sev2' if pages else 'sev3'}"
    for name, slo in slos.items():
        here: Place = ("slos", name)
        if not NAME.fullmatch(name):
            yield here, "an SLO's name has letters, digits, - and _, begins with a letter, and has at most 63 of them"
        service = services.get(slo.service)
        if service is None:
            yield (*here, "service"), f"'{slo.service}' is not a service.{nearest(slo.service, list(services))}"
        elif pager and service.pagerduty is None and any(tier.severity == "page" for tier in slo.all_tiers):
            why = (
                f"services.{slo.service}.pagerduty is not set: the tiers that page would wake nobody; set it, "
                "or give tiers: with severity: ticket alone and few_bad: 0"
            )
            yield (*here, "service"), why
        else:
            yield from (((*here, "service"), why) for why in _apart(slo, service.group_by or policy.group_by, policy))
        if slo.evaluate and not metrics:
            why = (
                "there is no prometheus: section, so I could not measure it; add one, or set evaluate: false "
                "and let Prometheus run what `captain slo rules` writes"
            )
            yield here, why
        for place, why in (*_queries(slo), *_windows(slo), *_tiers(slo), *_texts(slo)):
            yield (*here, *place), why


def _apart(slo: Slo, template: str, policy: Policy) -> Iterator[str]:
    """Alerts for which a part of the template is empty are incidents of their own: each tier would page anew."""
    carried = {"alertname", policy.service_label, policy.environment_label, *labels("", slo, environment="")}
    for part in parse(template).parts:
        if not isinstance(part, str) and not carried & set(part):
            asked = "|".join(part)
            yield (
                f"its incidents are told apart by {{{asked}}}, which the alerts of this SLO do not carry, so that each tier "
                f"would be an incident of its own; write {{{asked}|slo}} in group_by"
            )


def _queries(slo: Slo) -> Iterator[tuple[Place, str]]:
    if slo.good and slo.bad:
        yield ("good",), "good and bad both say which events count against the budget; keep one of them"
    if not slo.good and not slo.bad:
        yield (), "good or bad is missing: which events count, beside total"
    given = {place: query for place in ("good", "bad", "total") if (query := getattr(slo, place))}
    for place, query in given.items():
        bare = QUOTED.sub('""', query)
        others = [found for found in TEMPLATE.findall(query) if not MARK.fullmatch(found)]
        fixed = RANGE.findall(bare)
        if "#" in bare:
            yield (place,), "has a comment (#), which would hide what is put around it; take it out"
        if others:
            yield (place,), f"{others[0]} is not known here; only {{{{window}}}} is filled in"
        if fixed:
            yield (
                (place,),
                f"has a fixed range [{fixed[0]}]; write [{{{{window}}}}], each tier looks at windows of its own",
            )
        elif not RANGED.search(bare):
            yield (
                (place,),
                "must have [{{window}}] where the range goes, as in sum(rate(http_requests_total[{{window}}]))",
            )
        elif why := _uncounted(kinds(query), bare):
            yield (place,), why
    used = {place: found.pop() for place, query in given.items() if len(found := kinds(query)) == 1}
    for place, kind in used.items():
        if place != "total" and used.get("total", kind) != kind:
            why = f"counts by {kind} and total by {used['total']}; both must count by the same, or their share means nothing"
            yield (place,), why


def _uncounted(found: set[str], bare: str) -> str:
    """Why nobody could tell how many events a query stands for; empty when one can."""
    if len(found) == 1:
        return ""
    if found:
        return "has rate() beside increase(): nobody could tell whether it gives events or events a second; use one of them"
    instead = "irate() looks at two samples alone; " if re.search(r"\birate\s*\(", bare) else ""
    return (
        f"{instead}must count events: by rate() (events a second) or increase() of a counter, "
        "or by sum_over_time() of a metric that says how many there were"
    )


def _windows(slo: Slo) -> Iterator[tuple[Place, str]]:
    spans: list[tuple[Place, int]] = [(("window",), slo.window_s)]
    for i, tier in enumerate(slo.tiers):
        spans += [(("tiers", i, "long"), tier.long_s), (("tiers", i, "short"), tier.short_s)]
    for place, length in spans:
        if length > SUMMED_FROM and length % SUMMED_STEP:
            yield place, f"{span(length)} must be a multiple of {span(SUMMED_STEP)}: it is summed from such pieces"
    if slo.silent_after and seconds(slo.silent_after) < seconds(slo.missing_after):
        yield ("silent_after",), f"must be at least missing_after, {slo.missing_after}"


def _tiers(slo: Slo) -> Iterator[tuple[Place, str]]:
    if not slo.tiers and not slo.few_bad:
        yield ("tiers",), "is empty and few_bad is 0: nobody would ever hear of this SLO"
    seen: set[str] = set()
    for i, tier in enumerate(slo.tiers):
        place: Place = ("tiers", i)
        if tier.name in seen:
            yield place, f"there are two tiers '{tier.name}': a severity has one burn for a long window; drop one"
        seen.add(tier.name)
        if tier.short_s >= tier.long_s:
            why = f"short ({span(tier.short_s)}) must be shorter than long ({tier.long}); a twelfth is usual, {_twelfth(tier)}"
            yield (*place, "short"), why
        if tier.long_s > slo.window_s:
            yield (*place, "long"), f"looks at {tier.long}, which is longer than the SLO's window of {slo.window}"
        if tier.burn * slo.budget >= 1:
            yield (*place, "burn"), _never(slo, tier)


def _never(slo: Slo, tier: Tier) -> str:
    most = 1 / slo.budget
    objective = 100 * (1 - 1 / tier.burn)
    other = f", or an objective above {objective:.4g}" if tier.burn > 1 else ""
    return (
        f"burn {tier.burn:g} can never be reached at an objective of {slo.objective:g}: when every event is bad it burns "
        f"{most:.4g} times its budget; give tiers: a burn below {most:.4g}{other}"
    )


def _twelfth(tier: Tier) -> str:
    return span(max(60, tier.long_s // 12))


def _texts(slo: Slo) -> Iterator[tuple[Place, str]]:
    for place in ("dashboard", "runbook"):
        if (link := getattr(slo, place)) and not LINK.fullmatch(link):
            yield (place,), "must be a link, https://…"
    for i, label in enumerate(slo.by):
        if not LABEL.fullmatch(label):
            yield ("by", i), f"'{label[:40]}' is not the name of a label of Prometheus"

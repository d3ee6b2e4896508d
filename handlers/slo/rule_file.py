"""Writes the SLOs of captain.yml as Prometheus rules: what is recorded, and the alerts of each tier and of missing data.

Why they look as they do is in docs/slo.md. In short: bad and total events are recorded for each window, and their share
where there were events at all, so that no traffic has no share instead of a perfect one. Windows longer than six hours
are sums of the counts of five minutes. An alert that fires ends when a window says so, not when nothing is measured; and
what has paged makes no ticket besides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from handlers.catalogue import Policy, Service
from handlers.slo.kinds import BURN, MISSING, SUMMED_FROM, SUMMED_STEP, Slo, Tier, bad_query, labels, seconds, span
from handlers.slo.kinds import total_query as events

TOTAL, BAD, RATIO = "slo:sli_total:increase", "slo:sli_bad:increase", "slo:sli_error:ratio_rate"
LEFT = "slo:error_budget_left:ratio"
FROZEN = "1d"
"""How long an alert that fires may last while nothing is measured."""
INTERVAL = "30s"
"""How often the rules run. Five minutes are a whole number of it, so that the pieces of a sum neither overlap nor gape."""
SETTLED = "1m"
"""By then a piece of a sum is written, whichever group Prometheus runs first; counted twice, four bad events would be five."""
LONG_INTERVAL = "2m"
"""How often the sums of long windows are made: they change slowly, and a value is good for five minutes."""
HEADER = "# Written by `captain slo rules` from captain.yml: change it there and write this anew.\n"

Rule = dict[str, Any]


@dataclass(frozen=True)
class Written:
    """One SLO on its way into rules. ``carried``: the labels of all its series and alerts."""

    name: str
    slo: Slo
    service: Service
    carried: Mapping[str, str]

    @property
    def selector(self) -> str:
        """``{slo="…",service="…",env="…"}``: its own series, as they are written now."""
        return self._select(self.carried)

    @property
    def whatever_service(self) -> str:
        """``{slo="…",env="…"}``: its series, also those from before it was given to another service."""
        return self._select(("slo", "env"))

    def _select(self, names: Iterable[str]) -> str:
        shown = ",".join(f"{name}={json.dumps(self.carried[name], ensure_ascii=False)}" for name in names)
        return f"{{{shown}}}"

    def of(self, what: str, length: int) -> str:
        """A recorded series over so many seconds."""
        return f"{what}{span(length)}{self.selector}"

    def burn(self, length: int) -> str:
        return f"{self.of(RATIO, length)} / {self.slo.budget!r}"


def groups(slos: Mapping[str, Slo], services: Mapping[str, Service], policy: Policy) -> list[dict[str, Any]]:
    """The rule groups, as they stand under ``groups:``; each SLO has one for its short windows and one for its long ones."""
    made: list[dict[str, Any]] = []
    for name, slo in sorted(slos.items()):
        service = services[slo.service]
        known = labels(name, slo, environment=service.environment)
        # Where captain.yml reads service and environment off other labels, the alerts carry those too.
        known |= {policy.service_label: known["service"], policy.environment_label: known["env"]}
        one = Written(name, slo, service, known)
        short = [tier for tier in slo.all_tiers if not _long(tier)]
        long = [tier for tier in slo.all_tiers if _long(tier)]
        lengths = sorted({SUMMED_STEP, slo.window_s, *(s for t in slo.all_tiers for s in (t.long_s, t.short_s))})
        recorded = [rule for s in lengths if s <= SUMMED_FROM for rule in _counted(one, s)]
        made.append(
            {
                "name": f"slo-{name}",
                "interval": INTERVAL,
                "rules": [*recorded, _missing(one), *(_tier(one, t) for t in short)],
            }
        )
        summed = [rule for s in lengths if s > SUMMED_FROM for rule in _summed(one, s)]
        rules = [*summed, _left(one), *(_tier(one, t) for t in long)]
        made.append({"name": f"slo-{name}-long", "interval": LONG_INTERVAL, "rules": rules})
    return made


def plain(made: Sequence[Mapping[str, Any]]) -> str:
    """A file for ``rule_files:``."""
    return HEADER + as_yaml({"groups": list(made)})


def prometheus_rule(
    made: Sequence[Mapping[str, Any]], *, name: str, namespace: str = "", marks: Mapping[str, str] | None = None
) -> str:
    """A PrometheusRule of the Prometheus operator. ``marks``: labels of the object, by which a Prometheus selects it."""
    meta: dict[str, Any] = {"name": name}
    if namespace:
        meta["namespace"] = namespace
    if marks:
        meta["labels"] = dict(sorted(marks.items()))
    body = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": meta}
    return HEADER + as_yaml(body | {"spec": {"groups": list(made)}})


# ---- what is recorded ------------------------------------------------------------------------------------------------------


def _counted(one: Written, length: int) -> Iterator[Rule]:
    """Counts straight from the queries."""
    yield _record(one, TOTAL, length, events(one.slo, length))
    yield _record(one, BAD, length, bad_query(one.slo, length, total=one.of(TOTAL, length)))
    yield _share(one, length)


def _summed(one: Written, length: int) -> Iterator[Rule]:
    """Counts of a long window, as the sum of those of five minutes.

    That reads a few thousand samples of one series, instead of every sample of every pod there was in a month. Counts may
    be summed, where shares may not: an hour at night weighs less than one at noon. An SLO that was given to another service
    has pieces under two sets of labels: recorded as two they would clash, and nothing would be recorded for a month.
    """
    for what in (TOTAL, BAD):
        counts = f"{what}{span(SUMMED_STEP)}{one.whatever_service}"
        pieces = f"{counts}[{span(length)}:{span(SUMMED_STEP)}] offset {SETTLED}"
        yield _record(one, what, length, f"sum(sum_over_time({pieces}))")
    yield _share(one, length)


def _share(one: Written, length: int) -> Rule:
    return _record(one, RATIO, length, f"{one.of(BAD, length)} / ({one.of(TOTAL, length)} > 0)")


def _left(one: Written) -> Rule:
    """1 is an untouched budget, 0 one that is spent; below, the objective is missed."""
    return _record(one, LEFT, one.slo.window_s, f"1 - {one.burn(one.slo.window_s)}")


def _record(one: Written, what: str, length: int, expr: str) -> Rule:
    return {"record": f"{what}{span(length)}", "expr": _lines(expr), "labels": dict(one.carried)}


# ---- the alerts ------------------------------------------------------------------------------------------------------------


def _tier(one: Written, tier: Tier) -> Rule:
    long, short = one.burn(tier.long_s), one.burn(tier.short_s)
    least = [(BAD, tier.min_bad or 0), (TOTAL, tier.min_total or 0)]
    # An increase is reckoned from samples at some distance, so that ten events may read 9.8.
    enough = [f"  and {one.of(what, tier.long_s)} > {count - 0.5:g}" for what, count in least if count]
    fired = f'ALERTS{{alertname="{BURN}",alertstate="firing",{one.selector[1:-1]}'
    # A burst that paged is not told of again by what looks further back, for as long as that still sees it.
    paged = f'{fired},severity="page",tier!="{tier.name}"}}[{span(tier.short_s)}]'
    once = [f"  unless on (slo, env) last_over_time({paged})"] if tier.severity == "ticket" or _long(tier) else []
    expr = [
        "(",
        f"  {long} >= {tier.burn:g}",
        f"  and {short} >= {tier.burn:g}",
        *enough,
        *once,
        ") or (",
        f"  last_over_time({one.of(RATIO, tier.long_s)}[{FROZEN}]) / {one.slo.budget!r}",
        f'  and on (slo, env) {fired},tier="{tier.name}"}}',
        f"  unless {long} < {tier.burn:g}",
        f"  unless {short} < {tier.burn:g}",
        ")",
    ]
    return {
        "alert": BURN,
        "expr": "\n".join(expr),
        "labels": {**one.carried, "severity": tier.severity, "tier": tier.name},
        "annotations": {
            "summary": f'{one.name} burns {{{{ $value | printf "%.1f" }}}} times its error budget',
            "description": _meaning(one, tier),
            **_links(one),
            "burn": '{{ $value | printf "%.2f" }}',
        },
    }


def _meaning(one: Written, tier: Tier) -> str:
    slo = one.slo
    gone = span_words(slo.window_s / tier.burn)
    said = (
        f"{_text(slo.description.strip())} Of the events of {tier.long} and of {span(tier.short_s)} at least "
        f"{100 * tier.burn * slo.budget:.4g} % are bad. At {tier.burn:g} times its speed the whole error budget of "
        f"{slo.window} ({slo.objective:g} %) is gone in {gone}."
    )
    return said.strip()


def _missing(one: Written) -> Rule:
    """Nothing is measured, or no event was counted for so long that the queries may look past all of them.

    Zero counts only after the rules have run for most of that time: a sum that has just begun is no evidence.
    """
    now = one.of(TOTAL, SUMMED_STEP)
    expr = f"absent({now})"
    if one.slo.silent_after:
        length = one.slo.silent_after
        runs = f"count_over_time({now}[{length}:{span(SUMMED_STEP)}])"
        looks = seconds(length) // SUMMED_STEP * 4 // 5
        expr += f"\nor on (slo, env) (\n  max_over_time({now}[{length}]) == 0\n  and {runs} > {looks}\n)"
    silent = f", or nothing for {one.slo.silent_after}" if one.slo.silent_after else ""
    return {
        "alert": MISSING,
        "expr": expr,
        "for": one.slo.missing_after,
        "labels": {**one.carried, "severity": "ticket", "tier": "missing"},
        "annotations": {
            "summary": f"{one.name} cannot be measured: its queries count no events",
            "description": (
                f"Prometheus has no data for the total of this SLO{silent}, so no burn would be seen. `captain slo check` "
                "says what each query answers: a label that was renamed, a target that is not scraped, or no traffic."
            ),
            **_links(one),
        },
    }


def _links(one: Written) -> dict[str, str]:
    given = {"runbook_url": one.slo.runbook, "dashboard": one.slo.dashboard or one.service.dashboard}
    return {name: _text(link) for name, link in given.items() if link}


def _long(tier: Tier) -> bool:
    return tier.long_s > SUMMED_FROM


# ---- as text ---------------------------------------------------------------------------------------------------------------


def span_words(length: float) -> str:
    """Seconds as people say them, in two units: 180000 is ``2 d 2 h``."""
    left, said = round(length / 60) * 60 if length >= 60 else round(length), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            said.append(f"{count} {unit}")
    return " ".join(said[:2]) or "0 s"


def _text(value: str) -> str:
    """Text of captain.yml as an annotation, in which Prometheus would fill in templates."""
    return value.replace("{{", '{{ "{{" }}')


def _lines(expr: str) -> str:
    return "\n".join(line.rstrip() for line in expr.strip().splitlines() if line.strip())


def as_yaml(body: Mapping[str, Any]) -> str:
    """YAML in the order given, each text of several lines as such, and without aliases."""

    class Dumper(yaml.SafeDumper):
        """Writes expressions of several lines as such."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class asks of each value
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return yaml.dump(dict(body), Dumper=Dumper, sort_keys=False, width=1000, allow_unicode=True)

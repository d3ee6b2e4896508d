"""Reads OpenSLO v1 documents and makes ``slos:`` of them, or says of each what it says that could not be kept.

https://github.com/OpenSLO/OpenSLO: what is taken is a ratio of events (``ratioMetric`` with good or bad, and total) of a
Prometheus, budgeted by ``Occurrences`` over a rolling window. All else would read differently here, and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml
from pydantic import ValidationError

from handlers.catalogue import Policy, Service
from handlers.incidents.rules import Severity
from handlers.slo import promql
from handlers.slo.kinds import TIERS, Slo, Tier, seconds, span
from handlers.slo.lint import misfits

VERSION = "openslo/v1"
PROMETHEUS = frozenset(
    {"prometheus", "thanos", "mimir", "cortex", "victoriametrics", "amazonprometheus", "googleprometheus"}
)
QUERY = ("query", "promql", "expr")
NOT_ROLLING = (
    "is aligned to the calendar, where the budgets here are of a rolling window; give it isRolling: true and 30d or 4w"
)
METHODS = {
    "Timeslices": "counts good minutes, not good events; write it as the share of events that are good (Occurrences)",
    "RatioTimeslices": "averages the shares of minutes, so that a minute at night weighs as one at noon; use Occurrences",
}


class Unfit(Exception):
    """What one document says that cannot be kept."""


@dataclass(frozen=True)
class Document:
    """One object of a file."""

    where: str
    kind: str
    name: str
    spec: Mapping[str, Any]


@dataclass
class Imported:
    """``slos``: rows for captain.yml. ``refused``: sentences about what was left out; ``notes``: about what is different."""

    slos: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(texts: Mapping[str, str]) -> Imported:
    """Import all SLOs of these files (name → text); references may go from one file to another."""
    made = Imported()
    documents = [one for name, text in texts.items() for one in _documents(name, text, made)]
    known = {(one.kind, one.name): one for one in documents}
    for one in documents:
        if one.kind == "SLO":
            try:
                for name, row in _Reading(one, known, made).rows():
                    if name in made.slos:
                        raise Unfit(f"there is a second SLO named '{name}'; names tell them apart here")
                    _proved(name, row)
                    made.slos[name] = row
            except Unfit as e:
                made.refused.append(f"{one.where}: {e}")
    if not any(one.kind == "SLO" for one in documents) and not made.refused:
        made.refused.append(f"{', '.join(texts)}: no document of kind: SLO")
    return made


def _documents(file: str, text: str, made: Imported) -> Iterator[Document]:
    try:
        # A few lines of aliases that hold one another are gigabytes as soon as anybody writes them out.
        alias = next(
            (one for one in yaml.parse(text, Loader=yaml.SafeLoader) if isinstance(one, yaml.AliasEvent)), None
        )
        if alias is not None:
            made.refused.append(f"{file}: aliases (*{alias.anchor}) are not read here; write the value out")
            return
        found = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        made.refused.append(f"{file}: not valid YAML: {' '.join(str(e).split())[:200]}")
        return
    for body in (one for each in found for one in (each if isinstance(each, list) else [each])):
        if body is None:
            continue
        version = body.get("apiVersion") if isinstance(body, dict) else None
        meta = body.get("metadata") if isinstance(body, dict) else None
        name = str(meta.get("name") or "") if isinstance(meta, dict) else ""
        where = f"{file}: {name or 'a document without metadata.name'}"
        if version != VERSION:
            made.refused.append(f"{where}: {_version(version)}")
        elif not isinstance(body.get("spec"), dict) or not name:
            made.refused.append(f"{where}: {body.get('kind')} needs metadata.name and spec")
        else:
            yield Document(where, str(body.get("kind")), name, body["spec"])


def _version(version: object) -> str:
    if isinstance(version, str) and version.startswith("openslo"):
        what = "its shape still changes" if "v2" in version else "it was a draft of v1"
        return f"apiVersion {version} is not read ({what}); write it as {VERSION}"
    return f"is no OpenSLO document: its apiVersion is {version!r}, not {VERSION}"


class _Reading:
    """One SLO on its way into rows of captain.yml."""

    def __init__(self, document: Document, known: Mapping[tuple[str, str], Document], made: Imported) -> None:
        self._document, self._known, self._made = document, known, made
        self._spec = document.spec

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(name, row), one for each objective. Raises Unfit."""
        method = self._spec.get("budgetingMethod", "Occurrences")
        if method != "Occurrences":
            why = METHODS.get(str(method), "is none that OpenSLO knows")
            raise Unfit(f"budgetingMethod {method} {why}")
        row: dict[str, Any] = {"service": _word(self._spec.get("service")), "objective": 0}
        window = self._window()
        if window != "30d":
            row["window"] = window
        row |= self._queries()
        own = self._tiers()
        if self._spec.get("description"):
            row["description"] = " ".join(str(self._spec["description"]).split())
        objectives = _list(self._spec.get("objectives"))
        if not objectives:
            raise Unfit("has no objectives")
        for i, objective in enumerate(objectives):
            if objective.get("indicator") or objective.get("indicatorRef"):
                raise Unfit("is a composite of several indicators; write an SLO for each of them")
            name = _word(self._document.name)
            if len(objectives) > 1:
                name = f"{name}-{_word(objective.get('displayName') or i + 1)}".lower()
            target = _target(objective)
            yield name, row | {"objective": target} | self._fitting(own, target, window)

    def _say(self, note: str) -> None:
        said = f"{self._document.where}: {note}"
        if said not in self._made.notes:
            self._made.notes.append(said)

    def _window(self) -> str:
        windows = _list(self._spec.get("timeWindow"))
        if not windows:
            self._say("has no timeWindow; 30d is taken")
            return "30d"
        if len(windows) > 1:
            raise Unfit("has several time windows; an SLO has one")
        if windows[0].get("calendar") or windows[0].get("isRolling") is False:
            raise Unfit(f"its time window {NOT_ROLLING}")
        try:
            return span(seconds(str(windows[0].get("duration"))))
        except ValueError as e:
            raise Unfit(f"timeWindow: {e}") from e

    # ---- the indicator -----------------------------------------------------------------------------------------------------

    def _queries(self) -> dict[str, str]:
        sli = self._indicator()
        if "thresholdMetric" in sli:
            raise Unfit(
                "its thresholdMetric compares a value with a limit and counts no events; as a ratioMetric it would be the "
                "events below the limit (a histogram's bucket) of all events"
            )
        ratio = sli.get("ratioMetric")
        if not isinstance(ratio, dict):
            raise Unfit("its indicator has no ratioMetric")
        if "raw" in ratio:
            raise Unfit("its ratioMetric is raw: a share tells nobody of how many events; give good or bad, and total")
        parts = [part for part in ("good", "bad", "total") if ratio.get(part)]
        if parts not in (["good", "total"], ["bad", "total"]):
            raise Unfit(
                f"its ratioMetric must have good or bad, and total; it has {', '.join(parts) or 'none of them'}"
            )
        return {part: self._query(part, ratio[part], ratio.get("counter")) for part in parts}

    def _indicator(self) -> Mapping[str, Any]:
        inline, ref = self._spec.get("indicator"), self._spec.get("indicatorRef")
        if isinstance(inline, dict):
            return _dict(inline.get("spec"))
        if not ref:
            raise Unfit("has neither indicator nor indicatorRef")
        return self._refer("SLI", ref).spec

    def _query(self, part: str, metric: object, counter: object) -> str:
        source = _dict(_dict(metric).get("metricSource"))
        self._prometheus(part, source)
        spec = _dict(source.get("spec"))
        text = next((spec[name] for name in QUERY if isinstance(spec.get(name), str)), "")
        if not text.strip():
            raise Unfit(f"{part} has no query: metricSource.spec.query is missing")
        try:
            return promql.windowed(text, counter=counter if isinstance(counter, bool) else None)
        except ValueError as e:
            raise Unfit(f"{part}: {e}") from e

    def _prometheus(self, part: str, source: Mapping[str, Any]) -> None:
        kind, ref = source.get("type"), source.get("metricSourceRef")
        if not kind and isinstance(ref, str) and ("DataSource", ref) in self._known:
            kind = self._known["DataSource", ref].spec.get("type")
        if not kind:
            self._say(f"{part} does not say of what type its metricSource is; its query is taken for PromQL")
        elif str(kind).lower().replace(" ", "") not in PROMETHEUS:
            raise Unfit(f"{part} is asked of {kind}; only Prometheus is asked here")

    # ---- the alerts --------------------------------------------------------------------------------------------------------

    def _tiers(self) -> list[Tier]:
        made: list[Tier] = []
        for policy in self._policies():
            spec = (
                self._refer("AlertPolicy", policy["alertPolicyRef"]).spec
                if "alertPolicyRef" in policy
                else policy.get("spec")
            )
            spec = _dict(spec)
            if spec.get("alertWhenBreaching") is False:
                self._say("an alert policy with alertWhenBreaching: false is left out")
                continue
            if spec.get("notificationTargets"):
                self._say("notificationTargets are left out: who hears of it is said under services: in captain.yml")
            for condition in _list(spec.get("conditions")):
                inline = _dict(condition.get("spec"))
                found = (
                    self._refer("AlertCondition", condition["conditionRef"]).spec
                    if "conditionRef" in condition
                    else inline
                )
                tier = self._tier(_dict(found))
                if tier is not None:
                    made.append(tier)
        return self._lowest(made)

    def _lowest(self, made: Sequence[Tier]) -> list[Tier]:
        """One tier of each name, in the order given: the one that fires first, since it fires whenever another would."""
        kept: dict[str, Tier] = {}
        for tier in made:
            other = kept.setdefault(tier.name, tier)
            if other.burn == tier.burn:
                continue
            low, high = sorted((other, tier), key=lambda one: one.burn)
            self._say(
                f"the tier {high.name} ({high.burn:g} times) is left out: the one of {low.burn:g} times, with the same "
                "severity and lookbackWindow, fires whenever it would"
            )
            kept[tier.name] = low
        return list(kept.values())

    def _policies(self) -> Iterator[Mapping[str, Any]]:
        """Its alert policies; some files name one without saying that it is a reference."""
        given = self._spec.get("alertPolicies")
        for policy in given if isinstance(given, list) else ():
            if isinstance(policy, str | dict):
                yield {"alertPolicyRef": policy} if isinstance(policy, str) else policy

    def _tier(self, spec: Mapping[str, Any]) -> Tier | None:
        condition = _dict(spec.get("condition"))
        op, threshold, long = condition.get("op"), condition.get("threshold"), condition.get("lookbackWindow")
        about = f"the alert condition {op} {threshold} over {long}"
        if str(condition.get("kind", "burnrate")).lower() != "burnrate":
            self._say(f"an alert condition of kind {condition.get('kind')} is left out: tiers are burn rates")
            return None
        if op not in ("gt", "gte"):
            self._say(
                f"{about} is left out: it would tell of a budget that burns slowly; op gte tells of one that burns fast"
            )
            return None
        if condition.get("alertAfter") not in (None, "0m", "0s", 0):
            self._say(f"{about}: alertAfter is left out; the short window does what it is for")
        try:
            return Tier(severity=self._severity(spec.get("severity")), burn=float(threshold or 0), long=str(long))
        except (ValidationError, TypeError, ValueError) as e:
            self._say(f"{about} is left out: {' '.join(str(e).split())[:200]}")
            return None

    def _severity(self, given: object) -> str:
        known = dict(Policy().severities)
        known.update({one.value: one for one in Severity}, low=Severity.SEV3, high=Severity.SEV1)
        severity = known.get(str(given).lower())
        if severity is None:
            self._say(f"severity '{given}' is taken to page, to be safe")
        return "page" if severity is None or severity.pages else "ticket"

    def _fitting(self, own: Sequence[Tier], target: float, window: str) -> dict[str, Any]:
        """``tiers``, where they are not the usual: the SLO's own, or those of the usual that can fire."""
        tiers = own or TIERS
        budget, length = 1 - target / 100, seconds(window)
        fit = [tier for tier in tiers if tier.burn * budget < 1 and tier.long_s <= length]
        for tier in tiers:
            if tier not in fit:
                self._say(
                    f"the tier {tier.name} ({tier.burn:g} times) is left out: at {target:g} % of {window} it can never fire"
                )
        if not own and len(fit) == len(TIERS):
            return {}
        return {"tiers": [{"severity": t.severity, "burn": t.burn, "long": t.long} | _short(t) for t in fit]}

    def _refer(self, kind: str, name: object) -> Document:
        found = self._known.get((kind, str(name)))
        if found is None:
            raise Unfit(f"refers to the {kind} '{name}', which is in none of the files; give its file too")
        return found


def _short(tier: Tier) -> dict[str, str]:
    return {"short": tier.short} if tier.short else {}


def _target(objective: Mapping[str, Any]) -> float:
    given, percent = objective.get("target"), objective.get("targetPercent")
    try:
        # By decimals: 0.9995 is 99.95, and not 99.94999999999999.
        value = float(Decimal(str(percent)) if percent is not None else Decimal(str(given)) * 100)
    except InvalidOperation as e:
        raise Unfit("an objective has neither target nor targetPercent that is a number") from e
    if not 0 < value < 100:
        raise Unfit(f"its target of {value:g} % leaves no budget, or asks for nothing")
    return value


def _proved(name: str, row: Mapping[str, Any]) -> None:
    """What is written must load: the same checks as when captain.yml is read, but for what only that file knows."""
    try:
        slo = Slo.model_validate(row)
    except ValidationError as e:
        first = e.errors()[0]
        raise Unfit(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from e
    services = {slo.service: Service(channel="#any")}
    for place, why in misfits({name: slo}, services, Policy(), pager=False, metrics=True):
        raise Unfit(f"{'.'.join(map(str, place[2:])) or name}: {why}")


def _word(value: object) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", str(value if value is not None else "")).strip("-")[:63]


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []

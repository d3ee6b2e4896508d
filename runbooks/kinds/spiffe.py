"""Checks who talks to whom on a path of the mesh: mutual TLS, and SPIFFE IDs exactly as registered, by Istio's metrics.

Only the receiving side knows whether a connection was mutual TLS, so that is the side asked; what fails in the handshake
never arrives there, so the calling side is asked for that. A path on which nothing was sent proves nothing: NO_DATA.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.integrations.prometheus import Answer, Metrics, Sample
from runbooks.kind import Ask, Field, Kind, Shape
from runbooks.verdict import Finding, Outcome

MIN_SAMPLES = 10
OVER = "10m"
SHARE = 1.0
_ID = re.compile(r"spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_WINDOW = re.compile(r"(\d+(ms|[smhdwy]))+")
_BROKEN = ".*(UF|UC|URX).*"


def look(ask: Ask) -> Finding:
    """FAIL when an identity is not one expected, too few requests were mutual TLS, or too many handshakes failed.

    NO_DATA when no request was seen, INCONCLUSIVE when too few were, or when the answer may be partial.
    """
    metrics, spec = ask.looks.metrics, ask.spec
    if metrics is None:
        raise ValueError("Prometheus is not configured: add a prometheus: section with its url to captain.yml")
    least = spec.get("min_samples", MIN_SAMPLES)
    answer = metrics.query(seen_query(spec))
    failures, more = _failures(metrics, spec)
    warnings = [*answer.warnings, *more]
    rows = [row for row in answer.samples if row.value > 0]
    total = math.fsum(row.value for row in rows)
    path, wanted = _path(spec), _threshold(spec)
    broken = f"; {failures:.0f} failed before they arrived" if failures else ""
    samples = round(total)
    if failures > spec.get("max_failures", math.inf):
        told = f"{path}: {failures:.0f} requests failed in the connection, of {total + failures:.0f}"
        return Finding(Outcome.FAIL, told, f"{failures:.0f}", f"<= {spec['max_failures']:g}", "failures", samples)
    if any(not math.isfinite(row.value) for row in answer.samples):
        return Finding(Outcome.NO_DATA, f"{path}: a count is no number", "", wanted, "", samples)
    if not rows:
        return Finding(Outcome.NO_DATA, f"{path}: no request was seen in {_over(spec)}{broken}", "", wanted, "", 0)
    value, why = _wrong(spec, rows, total)
    if warnings:
        return Finding(
            Outcome.INCONCLUSIVE, f"the answer may be partial ({'; '.join(warnings)})", value, wanted, "", samples
        )
    if total < least:
        told = f"{path}: too little to judge, {total:.0f} of at least {least:g} requests{broken}"
        return Finding(Outcome.INCONCLUSIVE, told, value, wanted, "", samples)
    told = f"{path}: {value} of {total:.0f} requests{why}{broken}"
    return Finding(Outcome.FAIL if why else Outcome.PASS, told, value, wanted, "mTLS", samples)


def seen_query(spec: Mapping[str, Any]) -> str:
    """What arrived on the path, by who it said to be and whether it was mutual TLS."""
    by = "source_principal,destination_principal,connection_security_policy,source_workload,source_workload_namespace"
    return f"sum by ({by}) (increase(istio_requests_total{{{_selector(spec, 'destination')}}}[{_over(spec)}]))"


def failed_query(spec: Mapping[str, Any]) -> str:
    """What failed in the connection before it arrived: told by the calling side alone."""
    selector = f'{_selector(spec, "source")},response_code="503",response_flags=~"{_BROKEN}"'
    return f"sum(increase(istio_requests_total{{{selector}}}[{_over(spec)}]))"


def _selector(spec: Mapping[str, Any], reporter: str) -> str:
    labels = {"reporter": reporter}
    for side in ("source", "destination"):
        if side in spec:
            # A caller cannot tell the workload that a broken connection would have reached, but it knows the service.
            service = side == "destination" and reporter == "source"
            labels["destination_service_name" if service else f"{side}_workload"] = spec[side]
            if not service and f"{side}_namespace" in spec:
                labels[f"{side}_workload_namespace"] = spec[f"{side}_namespace"]
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


def _failures(metrics: Metrics, spec: Mapping[str, Any]) -> tuple[float, Sequence[str]]:
    answer: Answer = metrics.query(failed_query(spec))
    values = [row.value for row in answer.samples if math.isfinite(row.value)]
    return math.fsum(values), answer.warnings


def _wrong(spec: Mapping[str, Any], rows: Sequence[Sample], total: float) -> tuple[str, str]:
    """The share of mutual TLS in words, and what is wrong, led by a semicolon; empty when all is as it should be."""
    secure = math.fsum(row.value for row in rows if row.labels.get("connection_security_policy") == "mutual_tls")
    share = secure / total
    # Rounded down: 100 % is said of all only.
    value = f"{math.floor(share * 10_000) / 100:g} %"
    wrong: list[str] = []
    if share < spec.get("min_share", SHARE) - 1e-9:
        plain = [row for row in rows if row.labels.get("connection_security_policy") != "mutual_tls"]
        wrong.append(f"not mutual TLS: {_listed(plain, ('source_workload_namespace', 'source_workload'))}")
    for side in ("source", "destination"):
        expected = spec.get(f"{side}_ids")
        label = f"{side}_principal"
        strangers = [row for row in rows if row.labels.get(label, "") not in expected] if expected else []
        if strangers:
            wrong.append(f"not expected as {side}: {_listed(strangers, (label,))}")
        missing = [one for one in expected or () if not any(row.labels.get(label) == one for row in rows)]
        if missing and spec.get("all_seen"):
            wrong.append(f"not seen as {side}: {', '.join(missing)}")
    return value, "".join(f"; {one}" for one in wrong)


def _listed(rows: Sequence[Sample], labels: Sequence[str]) -> str:
    """Who they are and how many requests each made, most first."""
    counts: dict[str, float] = {}
    for row in rows:
        who = "/".join(row.labels.get(label) or "unknown" for label in labels)
        counts[who] = counts.get(who, 0.0) + row.value
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = ", ".join(f"{who} ({count:.0f})" for who, count in ranked[:5])
    return shown + (f" and {len(ranked) - 5} more" if len(ranked) > 5 else "")


def _path(spec: Mapping[str, Any]) -> str:
    return f"{spec.get('source', 'anybody')} → {spec['destination']}"


def _over(spec: Mapping[str, Any]) -> str:
    return str(spec.get("over", OVER))


def _threshold(spec: Mapping[str, Any]) -> str:
    return f">= {spec.get('min_share', SHARE) * 100:g} % mTLS"


def _judge(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("source_ids", "destination_ids"):
        for one in spec.get(name, ()):
            if not _ID.fullmatch(one):
                what = "spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT as registered and as the metrics carry it"
                yield name, f"{name} must be {what} (only policies leave spiffe:// out), not {one!r}"
    for name in ("source", "source_namespace", "destination", "destination_namespace"):
        if name in spec and not _NAME.fullmatch(spec[name]):
            yield name, f"{name} must be the name of one, not {spec[name]!r}"
    if not _WINDOW.fullmatch(_over(spec)):
        yield "over", f"over must be a time such as 10m, not {spec['over']!r}"
    if not 0 <= spec.get("min_share", SHARE) <= 1:
        yield "min_share", f"min_share must be from 0 to 1, not {spec['min_share']:g}"
    if spec.get("min_samples", MIN_SAMPLES) < 1:
        yield "min_samples", "min_samples must be at least 1: nothing seen proves nothing"


KIND = Kind(
    fields={
        "destination": Field(Shape.TEXT, required=True, about="workload that is called"),
        "destination_namespace": Field(Shape.TEXT, about="its namespace; any by default"),
        "source": Field(
            Shape.TEXT,
            about="workload that calls; everybody by default, also who calls in plaintext and is known as unknown",
        ),
        "source_namespace": Field(Shape.TEXT, about="its namespace; any by default"),
        "source_ids": Field(Shape.LIST, about="SPIFFE IDs that may call, spiffe:// included; any other fails"),
        "destination_ids": Field(Shape.LIST, about="SPIFFE IDs that may answer, spiffe:// included; any other fails"),
        "all_seen": Field(Shape.FLAG, about="true: every ID that is listed must have been seen"),
        "min_share": Field(Shape.NUMBER, about="share of requests that must be mutual TLS, 0 to 1; 1 by default"),
        "over": Field(Shape.TEXT, about=f"how far to look back; {OVER} by default"),
        "min_samples": Field(Shape.NUMBER, about=f"requests below which nothing is judged; {MIN_SAMPLES} by default"),
        "max_failures": Field(
            Shape.NUMBER, about="requests that may have failed in the connection, as the caller tells"
        ),
    },
    look=look,
    judge=_judge,
    asks=seen_query,
)

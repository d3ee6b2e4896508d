"""Which alerts are one incident: the template ``incidents.group_by``, read and filled in."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from handlers.incidents.rules import incident_uid
from handlers.slo.kinds import MISSING

DEFAULT = "{service}/{slo|alertname}"
SERVICE = "service"
"""The part that is the service of the catalogue, whatever its label says: each service has an on-call of its own."""
MOST_PARTS = 5
"""Parts of a template: with the environment before them they still fit into one row of an index."""
LONGEST_PART = 100
"""Characters of one part of an incident's key; a label value may have thousands, an index row may not."""
FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*(?:\|[A-Za-z_][A-Za-z0-9_]*)*)\}")
WORD = re.compile(r"[A-Za-z0-9_.-]+")
UNSTABLE = frozenset({"severity", "tier", "burn"})
"""Labels that change while one problem grows: a ticket that becomes a page would be another incident."""
BLIND = frozenset({"DatasourceNoData", "DatasourceError", MISSING})
"""Alerts that say that something cannot be measured: Grafana's, under which it keeps the rule's own labels, and ours."""
ALONE, DATA = "%alone", "%data"
"""Parts that no label value can make: a percent sign in one is written %25."""


@dataclass(frozen=True)
class Template:
    """A template, read. Of each part: the labels of which the first that says something counts, or one fixed word."""

    parts: tuple[tuple[str, ...] | str, ...]

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(name for part in self.parts if not isinstance(part, str) for name in part)


@dataclass(frozen=True)
class Key:
    """An incident's key. ``missing``: the part of the template for which the alert has no label; empty when none is."""

    text: str
    missing: str = ""


@functools.cache
def parse(text: str) -> Template:
    """Read a template. Raises ValueError with what is wrong with its form."""
    parts: list[tuple[str, ...] | str] = []
    for part in text.split("/"):
        field = FIELD.fullmatch(part)
        if field is None and not WORD.fullmatch(part):
            raise ValueError(
                f"'{part[:60]}' is no part of a template: write parts such as {{slo}}, {{slo|alertname}} (the first that "
                "is not empty) or a plain word, with '/' between them"
            )
        parts.append(tuple(field.group(1).split("|")) if field else part)
    if len(parts) > MOST_PARTS:
        raise ValueError(f"has {len(parts)} parts; at most {MOST_PARTS} are taken")
    return Template(tuple(parts))


def faults(text: str, *, constant: Collection[str]) -> Iterator[str]:
    """What is wrong with what a template asks for. ``constant``: labels that are the same for all of a service's alerts."""
    template = parse(text)
    if template.parts[0] != (SERVICE,):
        yield "must begin with {service}: alerts of two services in one incident would page only one of their on-calls"
    unstable = sorted(template.labels & UNSTABLE)
    if unstable:
        yield f"must not have {{{unstable[0]}}}: a ticket that becomes a page would be a second incident"
    if not template.labels - UNSTABLE - {SERVICE, *constant}:
        yield (
            "has no part that tells two problems of a service apart, so all of them would be one incident; "
            "add one such as {slo|alertname}"
        )


def key_of(template: str, labels: Mapping[str, str], *, service: str, environment: str, fingerprint: str = "") -> Key:
    """What makes two alerts one incident: the environment, and what the template makes of the labels.

    An alert for which a part is empty is an incident of its own (by its ``fingerprint``): what does not say where it
    belongs must neither be lost nor be put to what it has nothing to do with. What says that something cannot be
    measured is never one with what is measured there.
    """
    known = {**labels, SERVICE: service}
    blind = labels.get("alertname") in BLIND
    if blind and labels.get("rulename"):
        known["alertname"] = labels["rulename"]
    parts = [environment]
    for part in parse(template).parts:
        if isinstance(part, str):
            parts.append(part)
            continue
        value = next((known[name] for name in part if known.get(name)), "")
        if not value:
            alone = [_part(one) for one in (environment, service)]
            return Key("/".join([*alone, ALONE, _part(labels.get("alertname", "")), fingerprint]), "|".join(part))
        parts.append(value)
    return Key("/".join(_part(part) for part in parts) + (f"/{DATA}" if blind else ""))


def blind_key(key: str) -> str:
    """The key of the incident that says that what this incident is about cannot be measured."""
    return f"{key}/{DATA}"


def seen_key(key: str) -> str:
    """The key of the incident whose measurement has stopped; empty for a key that is not about that."""
    return key.removesuffix(f"/{DATA}") if key.endswith(f"/{DATA}") else ""


def _part(text: str) -> str:
    """One part of a key: short enough for any index, and two long ones that differ stay two."""
    if len(text) > LONGEST_PART:
        text = f"{text[:LONGEST_PART]}~{incident_uid(text)}"
    return text.replace("%", "%25").replace("/", "%2F")

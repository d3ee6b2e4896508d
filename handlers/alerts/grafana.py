"""Reads a webhook body of Grafana's unified alerting, alert by alert, and tells what cannot be measured from what burns.

The shape is that of its webhook contact point, version "1", without a custom payload: Alertmanager's, and with each alert
``values``, ``valueString``, ``dashboardURL``, ``panelURL``, ``silenceURL`` and ``imageURL``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bot.grammar import plain
from handlers.alerts import payload
from handlers.alerts.journal import REASON
from handlers.alerts.payload import Alert, BadPayload, Body, Source
from handlers.catalogue import Policy, Service, Watchdog

SIGNATURES = ("x-grafana-alerting-signature", "x-grafana-alert-signature")
"""Where Grafana's documentation, and where its code, puts the signature when nobody names a header."""
TIMESTAMPS = ("x-grafana-alerting-signature-timestamp", "x-grafana-alerting-timestamp")
"""Where a timestamp is looked for that is signed with the body; Grafana has no name of its own for it."""
NO_DATA, ERROR = "DatasourceNoData", "DatasourceError"
UNMEASURED = ("NoData", "Error")
"""The reasons of an alert that fires although nothing was measured, as its rule's settings want it."""
LINKS = ("dashboardURL", "panelURL", "generatorURL")
"""The first that is there is the incident's dashboard, where the rule names none."""
MOST_VALUES = 10
LARGEST = 1e300
"""A whole number beyond this cannot be shortened to what people read."""


class GrafanaSettings(BaseModel):
    """The ``grafana:`` section of captain.yml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook_secret: SecretStr = Field(
        description="what the contact point for /webhooks/grafana shows: as bearer token, as basic password, or by HMAC"
    )


def allowed(body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    """True when the sender has shown the secret in one of the three ways in which Grafana can. An empty one is none."""
    if not secret:
        return False
    signature = next((headers[name] for name in SIGNATURES if name in headers), None)
    if signature is not None:
        stamp = next((headers[name] for name in TIMESTAMPS if name in headers), None)
        signed = body if stamp is None else stamp.encode("utf-8", "surrogateescape") + b":" + body
        return _same(signature.strip(), hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest())
    kind, _, given = headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            given = base64.b64decode(given.strip(), validate=True).decode("utf-8", "replace").partition(":")[2]
        except (binascii.Error, ValueError):
            return False
    elif kind.lower() != "bearer":
        return False
    return _same(given.strip(), secret)


def read(
    body: bytes, services: Mapping[str, Service], policy: Policy, watchdogs: Mapping[str, Watchdog] | None = None
) -> Body:
    """Read a webhook body. Raises BadPayload when nothing in it can be taken."""
    data = payload.parsed(body)
    if not isinstance(data, dict) or data.get("version") != "1":
        given = data.get("version") if isinstance(data, dict) else type(data).__name__
        raise BadPayload(
            422,
            f"Grafana's own body says version \"1\", not {given!r}: leave the contact point's custom payload empty, "
            "and send what Alertmanager sends to /webhooks/alertmanager",
        )
    return payload.group(data, lambda raw, group_key: _alert(raw, group_key, services, policy, watchdogs or {}))


def _alert(
    raw: Any, group_key: str, services: Mapping[str, Service], policy: Policy, watchdogs: Mapping[str, Watchdog]
) -> Alert:
    made = replace(payload.one(raw, services, policy, watchdogs), group_key=group_key, source=Source.GRAFANA)
    said = dict(made.annotations)
    links = [link for name in LINKS if isinstance(link := raw.get(name), str) and link]
    if links and not said.get("dashboard"):
        said["dashboard"] = links[0]
    values = _values(raw.get("values"))
    if values and not said.get("description"):
        said["description"] = values
    for ours, theirs in (("silence_url", "silenceURL"), ("image_url", "imageURL")):
        if isinstance(link := raw.get(theirs), str) and link:
            said[ours] = link
    summary = _unmeasured(made.labels, said)
    if summary:
        # What the rule says of a burn must not be read at night as if it burned.
        if said.get("summary"):
            said["description"] = f"The rule says: {said['summary']}"
        said["summary"] = summary
    return replace(made, annotations={name: plain(text[: payload.MAX_VALUE]) for name, text in said.items()})


def _unmeasured(labels: Mapping[str, str], said: Mapping[str, str]) -> str:
    """What an alert says that fires because something cannot be measured; empty for one that was measured."""
    name = labels.get("alertname", "")
    rule, of = labels.get("rulename") or name, said.get("summary", "")
    if name == NO_DATA:
        return f"No data for {rule}: whether it burns, nobody knows"
    if name == ERROR:
        error = said.get("Error") or said.get("error") or ""
        return f"{rule} cannot be evaluated: whether it burns, nobody knows{f' ({error})' if error else ''}"
    reasons = [one for one in UNMEASURED if one in said.get(REASON, "")]
    if reasons:
        return f"{of or rule} ({'no data' if reasons[0] == 'NoData' else 'it cannot be evaluated'}, so it fires as its rule wants)"
    return ""


def _values(value: Any) -> str:
    """The values of the rule's expressions as they were: ``B = 44.2, C = 1``."""
    if not isinstance(value, dict):
        return ""
    known = {
        str(name): one
        for name, one in value.items()
        if isinstance(one, float) or (isinstance(one, int) and not isinstance(one, bool) and abs(one) < LARGEST)
    }
    return ", ".join(f"{name} = {one:.6g}" for name, one in list(known.items())[:MOST_VALUES])


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())

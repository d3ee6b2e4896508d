"""What a server's certificate says, in the form in which Python's ssl hands it out."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any

from runbooks.verdict import Finding, Outcome


def trusting(ca: str = "") -> ssl.SSLContext:
    """A context that verifies chain and name, against the system's authorities or those of a PEM file.

    Raises ValueError when the file cannot be read or holds none.
    """
    try:
        return ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as problem:
        raise ValueError(f"the authorities in {ca} cannot be read: {problem.strerror or problem}") from problem


def expiry(certificates: Sequence[Mapping[str, Any] | None], days: float) -> Finding:
    """Whether every certificate that was shown lasts at least so many days more; the one that ends first is told."""
    ends = [ssl.cert_time_to_seconds(one["notAfter"]) for one in certificates if one and "notAfter" in one]
    threshold = f">= {days:g}"
    if not ends:
        return Finding(Outcome.NO_DATA, "no certificate was shown", "", threshold, "days")
    left = (min(ends) - time.time()) / 86_400
    until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(min(ends)))
    told = f"its certificate expires in {left:.1f} days, on {until}"
    return Finding(Outcome.PASS if left >= days else Outcome.FAIL, told, f"{left:.1f}", threshold, "days")


def names(certificate: Mapping[str, Any]) -> list[str]:
    """The names a certificate is for: DNS names, addresses and URIs such as SPIFFE IDs."""
    return [str(value) for _, value in certificate.get("subjectAltName", ())]


def party(certificate: Mapping[str, Any], who: str) -> str:
    """``issuer`` or ``subject`` in one line: ``organizationName=Example, commonName=Example CA``."""
    return ", ".join(f"{key}={value}" for part in certificate.get(who, ()) for key, value in part)

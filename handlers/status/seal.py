"""The links to the status page: signed with captain.status_secret, and good until the time they carry."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlencode

from bot.errors import Refused

PATH = "/status"


def link(base: str, secret: str, *, until: int) -> str:
    """The page's address below ``base``, good until ``until`` (UNIX s)."""
    return f"{base.rstrip('/')}{PATH}?{urlencode({'until': until, 'sig': _signature(secret, str(until))})}"


def opened(secret: str, given: Mapping[str, str], *, now: float, ask: str) -> float:
    """Until when (UNIX s) a link is good. Raises Refused, saying with ``ask`` how to get one, when it is not."""
    until, signature = given.get("until", ""), given.get("sig", "")
    if not hmac.compare_digest(_signature(secret, until).encode(), signature.encode("utf-8", "replace")):
        raise Refused(f"This page opens with a signed link only. Ask for one: {ask}.")
    if now >= int(until):
        raise Refused(f"This link has run out. Ask for a new one: {ask}.")
    return float(until)


def _signature(secret: str, until: str) -> str:
    return hmac.new(
        secret.encode(), f"status page until {until}".encode("utf-8", "replace"), hashlib.sha256
    ).hexdigest()

"""What an incident's channel is called and what stands above it; pure functions."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 80
"""Characters of a channel's name; Slack refuses more."""
MOST_ABOVE = 250
"""Characters of a topic and of a purpose."""
MOST_NAMES = 20
"""Names that are tried for one channel, each with another ending, before a person has to look."""
PRIVATE = "private"
NOT_SAFE = re.compile(r"[^a-z0-9]+")


def name(number: int, *parts: str, again: int = 0) -> str:
    """A channel's name as Slack takes it: ``inc-7-docs-api-p95-up``; ``again``: how many such names are taken.

    Letters with marks lose them; what is of another script, or an emoji, is left out, so that the number may stand alone.
    """
    words = [part for part in (_safe(one) for one in parts) if part]
    ending = f"-{again + 1}" if again else ""
    made = "-".join([f"inc-{number}", *words])[: LONGEST - len(ending)].rstrip("-")
    return f"{made}{ending}"


def _safe(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return NOT_SAFE.sub("-", plain).strip("-")


def purpose(number: int, uid: str) -> str:
    """A channel's purpose, by which it is known as this incident's."""
    return f"Incident INC-{number}, kept by Release Captain ({uid})"[:MOST_ABOVE]


def topic(number: int, severity: str, service: str, title: str) -> str:
    """A channel's topic, one line of plain text."""
    said = f"INC-{number} · {severity} · {service} · {' '.join(title.split())}"
    return said if len(said) <= MOST_ABOVE else f"{said[: MOST_ABOVE - 1]}…"

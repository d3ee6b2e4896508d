"""One look of a check: its fields filled in, its kind asked, and what it saw made a result without any secret."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.errors import GiveUp, Retry
from runbooks.book import Check, Scope, inner_values
from runbooks.kind import Ask, Filling, Kind, Looks, Shape, fitted
from runbooks.kinds import KINDS
from runbooks.parameters import filled, filled_beside_secrets
from runbooks.secret_refs import Secrets
from runbooks.verdict import Finding, Outcome, Result

MAX_ASKED = 500
MAX_VALUE = 500
MAX_DETAIL = 4000
"""Signs of a result's texts: a database may answer with a value of megabytes, and every result is kept and told."""


@dataclass(frozen=True)
class Looking:
    """What all looks of one run have in common. ``values`` and ``env`` are those of the runbook that is run."""

    looks: Looks
    secrets: Secrets
    stop: threading.Event
    values: Mapping[str, str]
    env: Mapping[str, str]
    scopes: dict[tuple[Scope, ...], tuple[Mapping[str, str], Mapping[str, str]]] = field(default_factory=dict)

    def around(self, check: Check) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """(parameters, env) as a check sees them. Raises ValueError when it was given what it cannot take."""
        if check.scopes not in self.scopes:
            self.scopes[check.scopes] = inner_values(self.values, self.env, check.scopes)
        return self.scopes[check.scopes]

    def look(self, check: Check, timeout: float) -> Finding:
        """What one look within ``timeout`` seconds finds; whatever keeps it from looking is an ERROR."""
        kind = KINDS[check.kind]
        try:
            parameters, env = self.around(check)
            spec = _spec(kind, check.spec, parameters)
            if env and "env" in kind.fields and kind.fields["env"].shape is Shape.TEXTS:
                spec["env"] = {**env, **spec.get("env", {})}
            for name, why in kind.judge(spec):
                raise ValueError(f"{name}: {why}")
            return kind.look(Ask(spec, self.looks, timeout, self.stop, self.secrets, parameters))
        except (Retry, GiveUp) as problem:
            return Finding(Outcome.ERROR, problem.reason)
        except (ValueError, OSError) as problem:
            return Finding(Outcome.ERROR, str(problem))

    def keys(self, check: Check) -> tuple[str, ...]:
        """The mutex keys of a check, with its parameters filled in."""
        if not check.mutex:
            return ()
        parameters, _ = self.around(check)
        return tuple(str(filled(key, parameters)) for key in check.mutex)

    def result(self, check: Check, finding: Finding, *, at: float, took: float, attempt: int) -> Result:
        def told(text: str, most: int = MAX_VALUE) -> str:
            # Masked before it is cut: half a secret at the end would not be known as one.
            return shortened(self.secrets.mask(text), most)

        return Result(
            name=check.name,
            kind=check.kind,
            outcome=finding.outcome,
            value=told(finding.value),
            threshold=told(finding.threshold),
            unit=finding.unit,
            samples=finding.samples,
            took_s=took,
            attempt=attempt,
            detail=told(finding.detail, MAX_DETAIL),
            hint=told(self._hint(check), MAX_DETAIL),
            severity=check.severity,
            asked=self._asked(check),
            at=at,
            tags=check.tags,
        )

    def _hint(self, check: Check) -> str:
        try:
            return str(filled(check.hint, self.around(check)[0]))
        except ValueError:
            return check.hint

    def _asked(self, check: Check) -> str:
        """What was asked, as a person may read it: a shell line with its parameters' values, and no password of an address."""
        kind = KINDS[check.kind]
        try:
            spec = _spec(kind, check.spec, self.around(check)[0], for_people=True)
            text = kind.asks(spec)
        except ValueError:
            return ""
        return shortened(self.secrets.mask(" ".join(text.split())), MAX_ASKED)


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _spec(
    kind: Kind, spec: Mapping[str, Any], parameters: Mapping[str, str], *, for_people: bool = False
) -> dict[str, Any]:
    """A check's fields with its parameters filled in, each in its shape. Raises ValueError for one that does not fit."""
    made: dict[str, Any] = {}
    for name, value in spec.items():
        known = kind.fields[name]
        plain = for_people and known.filling is Filling.SHELL
        fill = filled_beside_secrets if known.secret else filled
        made[name] = fitted(known, fill(value, parameters, Filling.PLAIN if plain else known.filling))
    return made

"""The flags of captain.yml, and the kinds of objects a flag may stand in: a table with a line each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bot.config import nearest
from bot.integrations.kubernetes import ObjectRef
from handlers.flags.rules import Mark, Seen, read_mark

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?")
"""Of a flag: it is part of an annotation's name, which has 63 characters."""
DNS = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
OURS = "release-captain/"
PREFIX = f"{OURS}flag."
MANAGER = "release-captain"
"""What the client puts before every field manager of ours."""
LOUD_AFTER = 120.0


class Target(BaseModel):
    """Where a flag stands: one field of one object. ``key`` only for kinds that have keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(description="configmap")
    namespace: str
    name: str
    key: str = ""

    @field_validator("kind")
    @classmethod
    def _kind(cls, value: str) -> str:
        if value not in KINDS:
            raise ValueError(f"a flag cannot stand in this kind.{nearest(value, list(KINDS))}")
        return value

    @field_validator("namespace", "name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not DNS.fullmatch(value):
            raise ValueError("must be the name of a Kubernetes object: small letters, digits, - and .")
        return value

    @model_validator(mode="after")
    def _key(self) -> Target:
        kind = KINDS.get(self.kind)
        if kind is not None and kind.keyed != bool(self.key):
            raise ValueError(
                f"a {self.kind} {'needs a key: which of its values is meant' if kind.keyed else 'has no key'}"
            )
        if self.key and not KEY.fullmatch(self.key):
            raise ValueError("key must be made of letters, digits, -, _ and .")
        return self

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" + (f", key {self.key}" if self.key else "")


class Flag(BaseModel):
    """One row of the ``flags:`` section of captain.yml: something that can be switched on for a while."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str = Field(description="whose channel hears of it")
    object: Target
    on: str = Field(description="the value that switches it on")
    off: str | None = Field(None, description="the value after that; without it, what was there before comes back")
    longest: float = Field(3600.0, ge=1, le=7 * 86400, description="seconds it may still have to run at any time")
    loud_after: float = Field(LOUD_AFTER, ge=1, description="seconds overdue after which the channel is told")

    @field_validator("on", "off", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        if isinstance(value, bool | int | float):
            said = str(value).lower() if isinstance(value, bool) else str(value)
            raise ValueError(f'must be text; put it in quotes: "{said}"')  # noqa: TRY004 - pydantic wants ValueError
        return value

    @model_validator(mode="after")
    def _differ(self) -> Flag:
        if self.on == self.off:
            raise ValueError("on and off are the same, so nothing would be switched")
        return self


@dataclass(frozen=True)
class Kind:
    """How a flag stands in one kind of object: which API, and the path of the field that holds its value, a string."""

    api_version: str
    plural: str
    kind: str
    path: Callable[[Target], tuple[str, ...]]
    keyed: bool = False


KINDS: Mapping[str, Kind] = {
    "configmap": Kind("v1", "configmaps", "ConfigMap", lambda target: ("data", target.key), keyed=True),
}
"""The way of another kind is its line here: everything else works on the path."""


@dataclass(frozen=True)
class Spot:
    """Where one flag stands, with all that is needed to look at it and to write it.

    It is kept with each switching-on, which is undone as it was done, whatever captain.yml says by then.
    """

    flag: str
    target: Target
    on: str

    @property
    def ref(self) -> ObjectRef:
        kind = KINDS[self.target.kind]
        return ObjectRef(kind.api_version, kind.plural, self.target.name, self.target.namespace)

    @property
    def path(self) -> tuple[str, ...]:
        return KINDS[self.target.kind].path(self.target)

    @property
    def part(self) -> str:
        """The field manager's own name for this flag at this place.

        Server-side apply takes away what a manager once applied and no longer names. With one manager for all flags,
        switching one on would take away the other's key; with one for the flag alone, a flag that is pointed at
        another key would take away the old one.
        """
        path = hashlib.sha256("\0".join(self.path).encode()).hexdigest()[:8]
        return f"flag.{self.flag}.{path}"

    @property
    def annotation(self) -> str:
        return PREFIX + self.flag

    def seen(self, found: Mapping[str, Any] | None) -> Seen:
        """What the object says, as ``Cluster.get`` or ``apply`` gives it."""
        if found is None:
            return Seen()
        meta = found["metadata"]
        value: Any = found
        for step in self.path:
            value = value.get(step) if isinstance(value, Mapping) else None
        owners = {one["manager"] for one in meta.get("managedFields") or () if owns(one, self.path)}
        mine = f"{MANAGER}-{self.part}"
        return Seen(
            there=True,
            value=value if isinstance(value, str) else None,
            mark=read_mark((meta.get("annotations") or {}).get(self.annotation)),
            held=mine in owners,
            rivals=tuple(sorted(owners - {mine})),
            uid=str(meta["uid"]),
            version=str(meta["resourceVersion"]),
            taken=taken(meta, self.annotation, [self.path]),
        )

    def body(self, seen: Seen, value: str | None, mark: Mark | None = None) -> dict[str, Any]:
        """What to apply so that the field holds ``value`` (None: is not there, unless another asks for it) and the mark.

        It names the object and the version that were seen: what has changed since refuses it, and nothing is created.
        """
        meta: dict[str, Any] = {"uid": seen.uid, "resourceVersion": seen.version}
        if mark is not None:
            meta["annotations"] = {self.annotation: mark.text()}
        body: dict[str, Any] = {"kind": KINDS[self.target.kind].kind, "metadata": meta}
        if value is not None:
            inner: Any = value
            for step in reversed(self.path[1:]):
                inner = {step: inner}
            body[self.path[0]] = inner
        return body

    @staticmethod
    def kept(seen: Seen) -> str | None:
        """The value to name in an apply that is to leave the field as it is: what a manager owns and leaves out, goes."""
        return seen.value if seen.held else None


def taken(meta: Mapping[str, Any], annotation: str, paths: Iterable[tuple[str, ...]]) -> str:
    """Which flag or action besides that of ``annotation`` stands in one of these fields now; empty when none does."""
    managed = meta.get("managedFields") or ()
    for name, text in (meta.get("annotations") or {}).items():
        mark = read_mark(text) if name.startswith(OURS) and name != annotation else None
        if mark is None or mark.over:
            continue
        part = name.removeprefix(OURS)
        theirs = [one for one in managed if str(one["manager"]).startswith(f"{MANAGER}-{part}.")]
        if any(owns(one, path) for one in theirs for path in paths):
            return f"the {part.replace('.', ' ', 1)}, by {mark.by}"
    return ""


def owns(entry: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    """Whether an entry of ``managedFields`` owns the field at a path."""
    at: Any = entry.get("fieldsV1") or {}
    for step in path:
        at = at.get(f"f:{step}") if isinstance(at, Mapping) else None
        if at is None:
            return False
    return True


def misfits(
    flags: Mapping[str, Flag], services: list[str], *, cluster: bool
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(place, sentence) for each mistake that the section alone cannot see."""
    places: dict[str, str] = {}
    for name, flag in flags.items():
        if not NAME.fullmatch(name):
            yield ("flags", name), "a flag's name has small letters, digits and -, at most 50 of them"
        if flag.service not in services:
            yield ("flags", name, "service"), f"'{flag.service}' is not a service.{nearest(flag.service, services)}"
        if not cluster:
            yield ("flags", name), "there is no kubernetes: section, so it could not be switched on"
        other = places.setdefault(str(flag.object), name)
        if other != name:
            yield ("flags", name, "object"), f"the flag '{other}' stands there already; each would undo the other"

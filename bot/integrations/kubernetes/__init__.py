"""Kubernetes: what can be asked of the cluster, by whom, and with which settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from bot.errors import Problem


@dataclass(frozen=True)
class ObjectRef:
    """Which object: ``api_version`` as in its manifest ("apps/v1"), ``plural`` as in its URL ("deployments")."""

    api_version: str
    plural: str
    name: str
    namespace: str = ""


@dataclass(frozen=True)
class ListRef:
    """Which objects: all of a kind in a namespace."""

    api_version: str
    plural: str
    namespace: str


@dataclass(frozen=True)
class Listing:
    """All the objects, and the version of the cluster that they are of: a watch goes on from there."""

    items: Sequence[Mapping[str, Any]]
    version: str


@dataclass(frozen=True)
class Event:
    """One change. ``type``: ADDED, MODIFIED or DELETED, or BOOKMARK, which only says how far the watch is (``version``)."""

    type: str
    body: Mapping[str, Any]
    version: str


class Gone(Problem):
    """The cluster no longer knows what has changed since a version; list anew. Also where a page of a list is too old."""


class Watching(Protocol):
    """A watch that is open: iterate over it; ``cancel`` ends it from another thread."""

    def __iter__(self) -> Iterator[Event]:
        """What changes, as it does, until the server ends it. Raises Gone, Retry or GiveUp."""
        ...

    def cancel(self) -> None:
        """End it: whoever iterates stops at once, and gets no more."""
        ...


class Cluster(Protocol):
    """What the bot asks of Kubernetes. Every call has a hard timeout and raises Retry or GiveUp, never an SDK error."""

    @property
    def timeout(self) -> float:
        """Seconds a call may take to connect, and again to be answered."""
        ...

    def get(self, ref: ObjectRef) -> Mapping[str, Any] | None:
        """The object as plain JSON, or None when it does not exist."""
        ...

    def apply(
        self, ref: ObjectRef, body: Mapping[str, Any], *, force: bool = False, part: str = "", dry_run: bool = False
    ) -> Mapping[str, Any]:
        """Server-side apply as field manager ``release-captain``, or ``release-captain-PART``; the object as it then is.

        An apply takes away what the same manager applied before and does not name again: who looks after one part of
        an object is a manager of its own. ``dry_run``: nothing is changed; the object as it would be.
        """
        ...

    def listing(self, what: ListRef) -> Listing:
        """All the objects of a kind in a namespace, page by page. Raises Gone beside Retry and GiveUp."""
        ...

    def watch(self, what: ListRef, version: str, *, seconds: int) -> Watching:
        """Open a watch of what changes after ``version``; the server ends it after ``seconds``.

        A server that is silent for longer than that and the timeout is taken for gone. Raises Gone, Retry or GiveUp.
        """
        ...

    def select(self, api_version: str, plural: str, namespace: str, labels: str) -> Sequence[Mapping[str, Any]]:
        """The objects of a kind in a namespace (empty: in all) that a label selector such as "app=docs" picks."""
        ...

    def ping(self) -> str:
        """One cheap call that proves it answers; returns the server's version."""
        ...


class KubernetesSettings(BaseModel):
    """The ``kubernetes:`` section of captain.yml. Without ``url`` or ``kubeconfig`` the pod's own account is used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = ""
    kubeconfig: str = ""
    context: str = ""
    timeout: float = Field(5.0, gt=0, le=60, description="seconds a call may take")

"""Kubernetes: what can be asked of the cluster, by whom, and with which settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True)
class ObjectRef:
    """Which object: ``api_version`` as in its manifest ("apps/v1"), ``plural`` as in its URL ("deployments")."""

    api_version: str
    plural: str
    name: str
    namespace: str = ""


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

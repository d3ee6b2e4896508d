"""A Kubernetes API server to run against: stateful, strict, over HTTP, with controllers and a kubelet played."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from bot.integrations.kubernetes import fake_rbac
from bot.integrations.kubernetes.fake_http import Api
from bot.integrations.kubernetes.fake_kinds import CRDS, Registry
from bot.integrations.kubernetes.fake_objects import Objects, Options
from bot.integrations.kubernetes.fake_play import Play
from bot.integrations.kubernetes.fake_rbac import User
from bot.integrations.kubernetes.fake_stage import NODE
from bot.integrations.kubernetes.fake_store import Body, Change, Store
from bot.standin import CallLog, Faults, Guard

_SYSTEM = ("default", "kube-node-lease", "kube-public", "kube-system")
_SEEDED = Options("seed", named=True)


class FakeKubernetes:
    """A cluster of one API server, speaking HTTP at the root or below a prefix.

    ``seed``: start with namespaces prod and stage, the deployments gateway and docs-api in prod, and the Istio kinds.
    ``rollout_seconds``: how long a rollout takes; None leaves the controllers and the kubelet out.
    ``require_token``: refuse callers without a token (401); otherwise they are the administrator.
    """

    name = "kubernetes"

    def __init__(
        self, calls: CallLog, *, seed: bool = True, rollout_seconds: float | None = 0.3, require_token: bool = False
    ) -> None:
        self.faults = Faults()
        self.changed: list[Callable[[], None]] = []
        self.store = Store()
        self.registry = Registry()
        self.objects = Objects(self.store, self.registry)
        self._tokens: dict[str, User] = {}
        self.store.heard.append(self._hear)
        self.play = Play(self.objects, rollout_seconds) if rollout_seconds is not None else None
        self.api = Api(self.objects, self._tokens, require_token=require_token, after=self._after)
        self.app = Guard(self.name, self.api, self.faults, calls)
        self._begin()
        if seed:
            self._seed()
        self._after()

    # What callers set up

    def add_token(self, token: str, user: str, groups: tuple[str, ...] | list[str] = ()) -> None:
        """Let ``Authorization: Bearer token`` be this user, who may do what roles bound to them or their groups say."""
        self._tokens[token] = User(user, (*groups, "system:authenticated"))

    def put(self, body: Body) -> None:
        """Create a manifest as the administrator would. Raises ApiError when the API server refuses it."""
        group, _, version = body["apiVersion"].rpartition("/")
        resource = self.registry.by_kind(group, body["kind"])
        if resource is None:
            raise ValueError(f"no such kind: {body['apiVersion']} {body['kind']}")
        self.objects.create(resource, version, body["metadata"].get("namespace", ""), body, _SEEDED)

    def deploy(self, namespace: str, name: str, image: str, *, by: str = "kubectl") -> str:
        """Give a deployment's first container another image, as ``by`` would; the image it had. Raises KeyError."""
        resource = self.registry.find("apps", "deployments")
        record = self.store.get(("apps", "deployments"), (namespace, name))
        if resource is None or record is None:
            raise KeyError(f"there is no deployment {namespace}/{name}")
        with self.store.lock:
            body = copy.deepcopy(self.objects.get(resource, namespace, name).body)
            container = body["spec"]["template"]["spec"]["containers"][0]
            before, container["image"] = str(container["image"]), image
            self.objects.replace(resource, "v1", namespace, name, body, Options(by, named=True), "")
        self._after()
        return before

    def compact(self) -> None:
        """Forget the history, so that every older resourceVersion is answered with 410 Gone."""
        self.store.compact()

    def close(self) -> None:
        """Stop the controllers; the API goes on answering."""
        if self.play is not None:
            self.play.close()

    # The stand-in

    def state(self) -> dict[str, Any]:
        """``{"objects": [{apiVersion, kind, namespace, name, generation, labels, spec, status, created_at, managers}]}``.

        ``annotations`` stand there too, but for secrets, since what they were applied with may be among them. ``data``
        stands beside ``spec`` for kinds that have it, but for secrets only the names of their keys.
        """
        rows: list[dict[str, Any]] = []
        for table, record in self.store.every():
            resource = self.registry.find(*table)
            if resource is None:
                continue
            meta, body = record.meta, record.body
            row: dict[str, Any] = {"apiVersion": resource.api_version(resource.versions[0]), "kind": resource.kind}
            row |= {"namespace": meta.get("namespace", ""), "name": meta["name"]}
            row |= {"generation": meta.get("generation", 0), "labels": meta.get("labels") or {}}
            row |= {"annotations": {} if resource.kind == "Secret" else meta.get("annotations") or {}}
            row |= {"spec": body.get("spec") or {}, "status": body.get("status") or {}}
            row |= {"created_at": meta["creationTimestamp"]}
            row["managers"] = sorted({owner.manager for owner in record.owners})
            if "data" in body:
                row["data"] = sorted(body["data"]) if resource.kind == "Secret" else body["data"]
            rows.append(row)
        rows.sort(key=lambda row: (row["kind"], row["namespace"], row["name"]))
        return {"objects": rows}

    def dump(self) -> dict[str, Any]:
        """Objects with owners and revision, and the tokens. Plain JSON."""
        tokens = [
            {"token": token, "user": user.name, "groups": list(user.groups), "uid": user.uid}
            for token, user in list(self._tokens.items())
        ]
        return {"store": self.store.dump(), "tokens": tokens}

    def load(self, data: dict[str, Any]) -> None:
        """Take over what ``dump`` gave; rollouts that were under way go on."""
        with self.store.lock:
            self.store.load(data["store"])
            self._learn()
            self._tokens.clear()
            for one in data["tokens"]:
                self._tokens[one["token"]] = User(one["user"], tuple(one["groups"]), one["uid"])
            if self.play is not None:
                self.play.wake()
        self._tell()

    # Inside

    def _hear(self, change: Change) -> None:
        if change.table == CRDS.table:
            self._learn()
        self._tell()

    def _tell(self) -> None:
        for tell in tuple(self.changed):
            tell()

    def _learn(self) -> None:
        rows = self.store.tables.get(CRDS.table, {})
        self.registry.learn(record.body for record in rows.values() if not record.meta.get("deletionTimestamp"))

    def _after(self) -> None:
        if self.play is not None:
            self.play.run()

    def _begin(self) -> None:
        for name in _SYSTEM:
            self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for plural, body in fake_rbac.bootstrap():
            kind = "ClusterRole" if plural == "clusterroles" else "ClusterRoleBinding"
            self.put({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, **body})
        if self.play is not None:
            self.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})

    def _seed(self) -> None:
        for crd in _istio():
            self.put(copy.deepcopy(crd))
        for name in ("prod", "stage"):
            meta = {"name": name, "labels": {"istio-injection": "enabled"}}
            self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        for name, port in (("gateway", 8080), ("docs-api", 8000)):
            for body in _workload(name, port):
                self.put(body)


@functools.cache
def _istio() -> tuple[Body, ...]:
    """Istio's kinds, read once."""
    text = Path(__file__).with_name("istio-crds.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load_all(text))


def _workload(name: str, port: int) -> list[Body]:
    """A deployment of two pods and its service, in prod."""
    marks = {"app": name}
    labels = {**marks, "app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "docs", "version": "v1"}
    meta = {"name": name, "namespace": "prod", "labels": labels}
    container: Body = {"name": name, "image": f"ghcr.io/example/{name}:1.4.2"}
    container["ports"] = [{"name": "http", "containerPort": port}]
    container["readinessProbe"] = {"httpGet": {"path": "/healthz", "port": "http"}}
    container["resources"] = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}
    template = {"metadata": {"labels": {**marks, "version": "v1"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": marks}, "template": template}
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": marks, "ports": ports}}
    return [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}, service]

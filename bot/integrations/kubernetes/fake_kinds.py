"""Which resources the API server serves: the built-in ones, and those that custom resource definitions add."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bot.integrations.kubernetes.fake_patch import APPLY, JSON_PATCH, MERGE_PATCH, STRATEGIC
from bot.integrations.kubernetes.fake_schema import ANY, Node, builtin, custom
from bot.integrations.kubernetes.fake_select import FIELDS

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """One kind as its URL names it. ``subresources`` are the endings below a name, ``versions`` all that are served."""

    group: str
    plural: str
    kind: str
    namespaced: bool = True
    versions: tuple[str, ...] = ("v1",)
    subresources: tuple[str, ...] = ()
    short: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    singular: str = ""
    list_kind: str = ""
    generation: bool = False  # metadata.generation counts the changes of spec
    custom: bool = False
    nodes: Mapping[str, Node] = field(default_factory=dict)  # the shape in each version, for custom resources
    selectable: tuple[str, ...] = ()
    scale: tuple[str, str, str] = (".spec.replicas", ".status.replicas", "")  # where the scale subresource looks

    @property
    def table(self) -> tuple[str, str]:
        return self.group, self.plural

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    @property
    def patches(self) -> tuple[str, ...]:
        """The media types a PATCH may have, as a 415 lists them."""
        if self.custom:
            return JSON_PATCH, MERGE_PATCH, APPLY
        return JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY

    def api_version(self, version: str) -> str:
        return f"{self.group}/{version}" if self.group else version

    def node(self, version: str) -> Node:
        if self.custom:
            return self.nodes.get(version, ANY)
        return builtin(self.kind)

    def listed(self) -> str:
        return self.list_kind or f"{self.kind}List"


_STATUS = ("status",)
_SCALED = ("scale", "status")
_RBAC = "rbac.authorization.k8s.io"
BUILTIN: tuple[Resource, ...] = (
    Resource("", "namespaces", "Namespace", False, subresources=("finalize", "status"), short=("ns",)),
    Resource("", "nodes", "Node", False, subresources=_STATUS, short=("no",)),
    Resource(
        "",
        "pods",
        "Pod",
        subresources=("eviction", "exec", "log", "status"),
        short=("po",),
        generation=True,
    ),
    Resource("", "configmaps", "ConfigMap", short=("cm",)),
    Resource("", "secrets", "Secret"),
    Resource("", "services", "Service", subresources=_STATUS, short=("svc",)),
    Resource("", "serviceaccounts", "ServiceAccount", subresources=("token",), short=("sa",)),
    Resource("", "events", "Event", short=("ev",)),
    Resource("", "endpoints", "Endpoints", short=("ep",)),
    Resource("", "persistentvolumeclaims", "PersistentVolumeClaim", subresources=_STATUS, short=("pvc",)),
    Resource("apps", "deployments", "Deployment", subresources=_SCALED, short=("deploy",), generation=True),
    Resource("apps", "replicasets", "ReplicaSet", subresources=_SCALED, short=("rs",), generation=True),
    Resource("apps", "statefulsets", "StatefulSet", subresources=_SCALED, short=("sts",), generation=True),
    Resource("apps", "daemonsets", "DaemonSet", subresources=_STATUS, short=("ds",), generation=True),
    Resource("batch", "jobs", "Job", subresources=_STATUS, generation=True),
    Resource("batch", "cronjobs", "CronJob", subresources=_STATUS, short=("cj",), generation=True),
    Resource(
        "autoscaling",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        versions=("v2",),
        subresources=_STATUS,
        short=("hpa",),
    ),
    Resource("coordination.k8s.io", "leases", "Lease"),
    Resource(
        "policy", "poddisruptionbudgets", "PodDisruptionBudget", subresources=_STATUS, short=("pdb",), generation=True
    ),
    Resource(_RBAC, "roles", "Role"),
    Resource(_RBAC, "rolebindings", "RoleBinding"),
    Resource(_RBAC, "clusterroles", "ClusterRole", False),
    Resource(_RBAC, "clusterrolebindings", "ClusterRoleBinding", False),
    Resource(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        False,
        subresources=_STATUS,
        short=("crd", "crds"),
        generation=True,
    ),
    Resource("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False, verbs=("create",)),
    Resource("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", False, verbs=("create",)),
    Resource("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", False, verbs=("create",)),
)
NAMESPACES = BUILTIN[0]
CRDS = next(one for one in BUILTIN if one.plural == "customresourcedefinitions")


class Registry:
    """Finds a resource by its group and plural, or by its kind."""

    def __init__(self) -> None:
        self._builtin = {one.table: one for one in BUILTIN}
        self._custom: dict[tuple[str, str], Resource] = {}

    def find(self, group: str, plural: str) -> Resource | None:
        return self._builtin.get((group, plural)) or self._custom.get((group, plural))

    def by_kind(self, group: str, kind: str) -> Resource | None:
        return next((one for one in self if (one.group, one.kind) == (group, kind)), None)

    def __iter__(self) -> Iterator[Resource]:
        yield from self._builtin.values()
        yield from list(self._custom.values())

    def groups(self) -> dict[str, list[str]]:
        """Every group but the core one, with its served versions, the preferred first."""
        out: dict[str, list[str]] = {}
        for one in self:
            if one.group:
                known = out.setdefault(one.group, [])
                known += [version for version in one.versions if version not in known]
        return {group: sorted(versions, key=priority) for group, versions in out.items()}

    def learn(self, crds: Iterable[Mapping[str, Any]]) -> None:
        """Serve what these definitions say, and no other custom resources."""
        found = [defined(crd) for crd in crds]
        self._custom = {one.table: one for one in found}


def defined(crd: Mapping[str, Any]) -> Resource:
    """The resource a CustomResourceDefinition describes."""
    spec = crd["spec"]
    names = spec["names"]
    served = [one for one in spec["versions"] if one.get("served")]
    nodes = {one["name"]: custom(one["schema"]["openAPIV3Schema"]) for one in spec["versions"]}
    stored = next(one for one in spec["versions"] if one.get("storage"))
    below = tuple(sorted(stored.get("subresources") or {}))
    fields = tuple(one["jsonPath"].lstrip(".") for one in stored.get("selectableFields") or ())
    made = Resource(
        spec["group"],
        names["plural"],
        names["kind"],
        spec["scope"] == "Namespaced",
        versions=tuple(sorted((one["name"] for one in served), key=priority)),
        subresources=below,
        short=tuple(names.get("shortNames") or ()),
        generation=True,
        custom=True,
        nodes=nodes,
        selectable=fields,
        scale=_scale((stored.get("subresources") or {}).get("scale") or {}),
    )
    singular = names.get("singular") or names["kind"].lower()
    return replace(made, singular=singular, list_kind=names.get("listKind") or f"{names['kind']}List")


def _scale(paths: Mapping[str, str]) -> tuple[str, str, str]:
    selector = paths.get("labelSelectorPath", "")
    return paths.get("specReplicasPath", ""), paths.get("statusReplicasPath", ""), selector


def priority(version: str) -> tuple[int, int, int, str]:
    """Sorts versions as Kubernetes prefers them: v2, v1, v1beta1, v1alpha1, then by name."""
    rest = version.removeprefix("v")
    for rank, stage in enumerate(("", "beta", "alpha")):
        major, _, minor = rest.partition(stage) if stage else (rest, "", "0")
        if major.isdigit() and (minor.isdigit() or not stage):
            return rank, -int(major), -int(minor or 0), ""
    return 3, 0, 0, version


def selectable(resource: Resource) -> tuple[str, ...]:
    """The fields a list of this kind can be selected by, beside name and namespace."""
    return resource.selectable if resource.custom else FIELDS.get(resource.plural, ())

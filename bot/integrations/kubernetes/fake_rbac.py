"""Who the caller is and what roles let them do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.integrations.kubernetes.fake_kinds import Resource
from bot.integrations.kubernetes.fake_status import ApiError, forbidden
from bot.integrations.kubernetes.fake_store import Store

_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class User:
    """The caller. Group ``system:masters`` may do everything."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""


ADMIN = User("admin", ("system:masters", "system:authenticated"))


@dataclass(frozen=True)
class Ask:
    """One thing somebody wants to do, in the words of RBAC. ``path`` is set for URLs that are no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    sub: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full(self) -> str:
        return f"{self.resource}/{self.sub}" if self.sub else self.resource


def allowed(store: Store, user: User, ask: Ask) -> str:
    """Why the user may do it, as a review tells; "" when nothing allows it."""
    if "system:masters" in user.groups:
        return "RBAC: allowed by system:masters"
    for binding, kind in _bindings(store, ask.namespace):
        subject = next((one for one in binding.get("subjects") or () if _is(one, user)), None)
        if subject is None:
            continue
        ref = binding["roleRef"]
        if any(_covers(rule, ask) for rule in _rules(store, ref, binding["metadata"].get("namespace", ""))):
            name = binding["metadata"]["name"]
            where = f"{name}/{binding['metadata']['namespace']}" if kind == "RoleBinding" else name
            to = f"{subject['kind']} {subject['name']!r}".replace("'", '"')
            return f'RBAC: allowed by {kind} "{where}" of {ref["kind"]} "{ref["name"]}" to {to}'
    return ""


def _bindings(store: Store, namespace: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    for record in store.tables.get((_RBAC, "clusterrolebindings"), {}).values():
        yield record.body, "ClusterRoleBinding"
    for (where, _), record in store.tables.get((_RBAC, "rolebindings"), {}).items():
        if namespace and where == namespace:
            yield record.body, "RoleBinding"


def _is(subject: Mapping[str, Any], user: User) -> bool:
    match subject.get("kind"):
        case "User":
            return subject.get("name") == user.name
        case "Group":
            return subject.get("name") in user.groups
        case "ServiceAccount":
            return user.name == f"system:serviceaccount:{subject.get('namespace')}:{subject.get('name')}"
    return False


def _rules(store: Store, ref: Mapping[str, Any], namespace: str) -> Sequence[Mapping[str, Any]]:
    plural, where = ("clusterroles", "") if ref["kind"] == "ClusterRole" else ("roles", namespace)
    role = store.get((_RBAC, plural), (where, ref["name"]))
    return (role.body.get("rules") or []) if role else []


def _covers(rule: Mapping[str, Any], ask: Ask) -> bool:
    def has(values: Sequence[str] | None, want: str) -> bool:
        return values is not None and ("*" in values or want in values)

    if not has(rule.get("verbs"), ask.verb):
        return False
    if ask.path:
        urls = rule.get("nonResourceURLs") or ()
        return any(url in ("*", ask.path) or (url.endswith("*") and ask.path.startswith(url[:-1])) for url in urls)
    resources = rule.get("resources") or ()
    fits = has(resources, ask.full) or (bool(ask.sub) and f"*/{ask.sub}" in resources)
    names = rule.get("resourceNames") or ()
    return has(rule.get("apiGroups"), ask.group) and fits and (not names or ask.name in names)


def refused(user: User, ask: Ask) -> ApiError:
    """The 403 for something nothing allows."""
    if ask.path:
        return ApiError(403, "Forbidden", f'forbidden: User "{user.name}" cannot {ask.verb} path "{ask.path}"')
    where = f'in the namespace "{ask.namespace}"' if ask.namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {ask.verb} resource "{ask.full}" in API group "{ask.group}" {where}'
    return forbidden(ask.group, ask.resource, ask.name, why)


def escalates(store: Store, user: User, resource: Resource, namespace: str, body: Mapping[str, Any]) -> str:
    """Why a role or binding would give more than its writer has; "" when it would not."""
    if resource.group != _RBAC or "system:masters" in user.groups:
        return ""
    rules = body.get("rules") or ()
    verb, plural = "escalate", resource.plural
    if resource.plural.endswith("bindings"):
        ref = body.get("roleRef") or {}
        if not ref.get("kind") or not ref.get("name"):
            return ""
        rules = _rules(store, ref, namespace)
        verb, plural = "bind", "clusterroles" if ref["kind"] == "ClusterRole" else "roles"
    if allowed(store, user, Ask(verb, _RBAC, plural, namespace=namespace)):
        return ""
    missing = [ask for rule in rules for ask in _asks(rule, namespace) if not allowed(store, user, ask)]
    if not missing:
        return ""
    return f'user "{user.name}" (groups={list(user.groups)}) is attempting to grant RBAC permissions not currently held'


def _asks(rule: Mapping[str, Any], namespace: str) -> Iterator[Ask]:
    for verb in rule.get("verbs") or ():
        for path in rule.get("nonResourceURLs") or ():
            yield Ask(verb, path=path)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                plural, _, sub = resource.partition("/")
                for name in rule.get("resourceNames") or ("",):
                    yield Ask(verb, group, plural, sub, namespace, name)


def bootstrap() -> Iterator[tuple[str, dict[str, Any]]]:
    """The roles and bindings every cluster starts with: plural and body."""
    every = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    paths = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/readyz", "/version", "/version/"]
    own = {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews"], "verbs": ["create"]}
    me = {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]}
    roles: dict[str, tuple[list[dict[str, Any]], str]] = {
        "cluster-admin": ([every, {"nonResourceURLs": ["*"], "verbs": ["*"]}], "system:masters"),
        "system:discovery": ([{"nonResourceURLs": paths, "verbs": ["get"]}], "system:authenticated"),
        "system:basic-user": ([own, me], "system:authenticated"),
    }
    for name, (rules, group) in roles.items():
        yield "clusterroles", {"metadata": {"name": name}, "rules": rules}
        ref = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name}
        subjects = [{"kind": "Group", "apiGroup": _RBAC, "name": group}]
        yield "clusterrolebindings", {"metadata": {"name": name}, "roleRef": ref, "subjects": subjects}

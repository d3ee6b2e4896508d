"""What the API server says about itself: versions, groups, and the resources of each."""

from __future__ import annotations

from typing import Any

from bot.integrations.kubernetes.fake_kinds import Registry, Resource
from bot.integrations.kubernetes.fake_status import no_such_resource

VERSION = "v1.36.2"
HEALTH = ("/healthz", "/livez", "/readyz")


def answer(registry: Registry, path: str) -> dict[str, Any] | None:
    """The document at a path, or None when the path is none of discovery. Raises ApiError 404 for an unserved group."""
    found: dict[str, Any] | None = None
    match path.strip("/").split("/"):
        case ["version"]:
            major, minor, _ = VERSION.removeprefix("v").split(".")
            built = {"buildDate": "2026-07-01T00:00:00Z", "compiler": "gc", "goVersion": "go1.26.0"}
            git = {"gitCommit": "0" * 40, "gitTreeState": "clean", "gitVersion": VERSION}
            found = {"major": major, "minor": minor, "platform": "linux/amd64", **built, **git}
        case ["api"]:
            address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}]
            found = {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address}
        case ["apis"]:
            groups = [_group(name, versions) for name, versions in registry.groups().items()]
            found = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group]:
            found = {"kind": "APIGroup", "apiVersion": "v1", **_group(group, _versions(registry, group))}
        case ["api", "v1"]:
            found = _resources(registry, "", "v1")
        case ["apis", group, version] if version in _versions(registry, group):
            found = _resources(registry, group, version)
        case ["apis", _, _]:
            raise no_such_resource()
    return found


def _versions(registry: Registry, group: str) -> list[str]:
    found = registry.groups().get(group)
    if found is None:
        raise no_such_resource()
    return found


def _group(name: str, versions: list[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resources(registry: Registry, group: str, version: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for one in registry:
        if one.group == group and version in one.versions:
            rows += _rows(one)
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": rows}


_BELOW: dict[str, tuple[str, list[str], dict[str, str]]] = {
    "status": ("", ["get", "patch", "update"], {}),
    "scale": ("Scale", ["get", "patch", "update"], {"group": "autoscaling", "version": "v1"}),
    "eviction": ("Eviction", ["create"], {"group": "policy", "version": "v1"}),
    "log": ("", ["get"], {}),
    "exec": ("PodExecOptions", ["create", "get"], {}),
    "finalize": ("", ["update"], {}),
    "token": ("TokenRequest", ["create"], {"group": "authentication.k8s.io", "version": "v1"}),
}


def _rows(one: Resource) -> list[dict[str, Any]]:
    row: dict[str, Any] = {
        "name": one.plural,
        "singularName": one.singular or one.kind.lower(),
        "namespaced": one.namespaced,
        "kind": one.kind,
        "verbs": list(one.verbs),
    }
    if one.short:
        row["shortNames"] = list(one.short)
    rows = [row]
    for sub in one.subresources:
        kind, verbs, where = _BELOW[sub]
        below = {"name": f"{one.plural}/{sub}", "singularName": "", "namespaced": one.namespaced}
        rows.append({**below, "kind": kind or one.kind, "verbs": verbs, **where})
    return rows

"""The Kubernetes manifests: they parse, hang together, and give the bot no more than it needs."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from handlers.deploys.kinds import Workload

KUBERNETES = Path(__file__).resolve().parent.parent.parent / "deploy" / "kubernetes"
FILES = sorted(KUBERNETES.rglob("*.yaml"))


def documents(folder: Path) -> list[dict[str, Any]]:
    """Every object the folder's kustomization names, bases included; patches are not applied."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found = []
    for name in kustomization["resources"]:
        path = folder / name
        found += documents(path.resolve()) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    return found


def one(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [item for item in objects if item["kind"] == kind]
    return found


def base() -> list[dict[str, Any]]:
    return documents(KUBERNETES / "base")


def deployment() -> dict[str, Any]:
    return copy.deepcopy(one(base(), "Deployment"))


def too_much(made: dict[str, Any]) -> list[str]:
    """What a Deployment allows that it should not, or lacks that it should have."""
    pod = made["spec"]["template"]["spec"]
    wrong = []
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True or security.get("runAsUser", 0) < 1000:
        wrong.append("runs as root")
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        wrong.append("no seccomp profile")
    if pod.get("serviceAccountName", "default") == "default":
        wrong.append("uses the default account")
    wrong += [f"shares the host's {field}" for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field)]
    wrong += ["mounts the host's files" for volume in pod["volumes"] if "hostPath" in volume]
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            wrong.append("may gain privileges")
        if own.get("readOnlyRootFilesystem") is not True:
            wrong.append("can write its root file system")
        if own.get("capabilities") != {"drop": ["ALL"]}:
            wrong.append("keeps capabilities")
        resources = container.get("resources", {})
        if {"cpu", "memory"} - resources.get("requests", {}).keys() or "memory" not in resources.get("limits", {}):
            wrong.append("says not what it needs")
        for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            if container.get(probe, {}).get("httpGet", {}).get("path") != path:
                wrong.append(f"{probe} does not ask {path}")
    return wrong


def test_there_are_manifests():
    assert len(FILES) > 8


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(KUBERNETES).as_posix())
def test_every_file_parses_and_says_what_it_is(path: Path):
    for document in yaml.safe_load_all(path.read_text()):
        assert {"apiVersion", "kind"} <= document.keys()
        assert document["kind"] == "Kustomization" or document["metadata"]["name"].startswith("release-captain")


@pytest.mark.parametrize("path", sorted(KUBERNETES.rglob("kustomization.yaml")), ids=lambda path: path.parent.name)
def test_every_kustomization_names_files_that_exist_and_forgets_none(path: Path):
    made = yaml.safe_load(path.read_text())
    named = [*made["resources"], *(patch["path"] for patch in made.get("patches", []))]
    assert [name for name in named if not (path.parent / name).exists()] == []
    present = {other.name for other in path.parent.glob("*.yaml")} - {"kustomization.yaml"}
    assert present == {name for name in named if name.endswith(".yaml")}


def test_the_image_is_that_of_this_release():
    (image,) = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text())["images"]
    project = tomllib.loads((KUBERNETES.parent.parent / "pyproject.toml").read_text())["project"]
    assert image == {"name": "release-captain", "newTag": project["version"]}


def test_every_patch_has_its_target():
    overlay = KUBERNETES / "overlays" / "postgres"
    there = {(item["kind"], item["metadata"]["name"]) for item in base()}
    for patch in yaml.safe_load((overlay / "kustomization.yaml").read_text())["patches"]:
        made = yaml.safe_load((overlay / patch["path"]).read_text())
        assert (made["kind"], made["metadata"]["name"]) in there


def test_the_bot_gets_no_more_than_it_needs():
    assert too_much(deployment()) == []


def _set(made: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    *steps, last = path.split(".")
    inner: Any = made["spec"]["template"]["spec"]
    for step in steps:
        inner = inner[int(step)] if step.isdigit() else inner[step]
    inner[last] = value
    return made


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("securityContext.runAsNonRoot", False, "root"),
        ("securityContext.runAsUser", 0, "root"),
        ("securityContext.seccompProfile", {"type": "Unconfined"}, "seccomp"),
        ("serviceAccountName", "default", "default account"),
        ("hostNetwork", True, "hostNetwork"),
        ("volumes", [{"name": "x", "hostPath": {"path": "/"}}], "host's files"),
        ("containers.0.securityContext.allowPrivilegeEscalation", True, "privileges"),
        ("containers.0.securityContext.privileged", True, "privileges"),
        ("containers.0.securityContext.readOnlyRootFilesystem", False, "root file system"),
        ("containers.0.securityContext.capabilities", {}, "capabilities"),
        ("containers.0.resources", {}, "needs"),
        ("containers.0.livenessProbe", {}, "/healthz"),
        ("containers.0.readinessProbe", {"httpGet": {"path": "/"}}, "/readyz"),
    ],
)
def test_too_much_is_found(path: str, value: object, found: str):
    assert any(found in sentence for sentence in too_much(_set(deployment(), path, value)))


def test_what_is_mounted_is_there_and_writable_places_are_few():
    pod = deployment()["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts.keys() == volumes.keys()
    writable = {mount["mountPath"] for mount in mounts.values() if not mount.get("readOnly")}
    assert writable == {"/data", "/tmp"}
    claim = one(base(), "PersistentVolumeClaim")
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_a_pod_has_the_time_it_needs_to_hand_over():
    assert deployment()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 30, "it promises 20"


def test_sqlite_has_one_writer_and_postgresql_has_none_to_wait_for():
    assert deployment()["spec"]["replicas"] == 1
    assert deployment()["spec"]["strategy"] == {"type": "Recreate"}
    overlay = KUBERNETES / "overlays" / "postgres"
    patch = yaml.safe_load((overlay / "deployment.yaml").read_text())
    assert patch["spec"]["replicas"] == 3, "as docs/operating.md says"
    spread = patch["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["kubernetes.io/hostname"]
    assert patch["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert patch["spec"]["strategy"]["type"] == "RollingUpdate"
    (data,) = patch["spec"]["template"]["spec"]["volumes"]
    assert data["persistentVolumeClaim"] is None
    assert "emptyDir" in data
    assert yaml.safe_load((overlay / "volume.yaml").read_text())["$patch"] == "delete"
    budget = one(documents(overlay), "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] < patch["spec"]["replicas"]


def test_every_selector_finds_the_pods():
    overlay = documents(KUBERNETES / "overlays" / "postgres")
    labels = deployment()["spec"]["template"]["metadata"]["labels"]
    selectors = [item["spec"].get("podSelector") or item["spec"].get("selector") for item in overlay if "spec" in item]
    found = [selector.get("matchLabels", selector) for selector in selectors if selector is not None]
    assert len(found) == len(["Deployment", "Service", "NetworkPolicy", "NetworkPolicy", "PodDisruptionBudget"])
    assert all(selector and selector.items() <= labels.items() for selector in found)


def test_the_service_and_the_policies_meet_the_container():
    ports = {port["name"] for port in deployment()["spec"]["template"]["spec"]["containers"][0]["ports"]}
    assert {port["targetPort"] for port in one(base(), "Service")["spec"]["ports"]} <= ports
    policy = one(base(), "NetworkPolicy")["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == ports
    assert all(rule.get("ports") for rule in policy["egress"])


def test_the_role_reads_workloads_and_never_deletes_or_reads_secrets():
    objects = documents(KUBERNETES / "watched")
    rules = one(objects, "Role")["rules"]
    assert rules
    for rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert set(rule["verbs"]) <= {"get", "list", "watch", "create", "patch"}
        assert not {"secrets", "pods/exec", "roles", "rolebindings"} & set(rule["resources"])
        if rule["resources"] == ["configmaps"]:
            assert set(rule["verbs"]) == {"get", "patch"}, "a flag is a key of what is there; nothing is made or listed"
        elif set(rule["verbs"]) & {"create", "patch"}:
            assert all(group.endswith("istio.io") for group in rule["apiGroups"])
    watched = {resource for rule in rules if "watch" in rule["verbs"] for resource in rule["resources"]}
    assert watched == {kind.value for kind in Workload}, "what deploys.watch hears of, and nothing else"
    binding = one(objects, "RoleBinding")
    account = one(base(), "ServiceAccount")["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "release-captain"}]
    assert binding["roleRef"]["name"] == one(objects, "Role")["metadata"]["name"]
    assert not [item for item in base() if item["kind"] in {"ClusterRole", "ClusterRoleBinding"}]

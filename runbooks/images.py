"""Judges the images of an object of the cluster: which they are, whether their digest is pinned, whether it is signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runbooks.kind import Ask
from runbooks.outward import Way
from runbooks.registry import image, signature
from runbooks.verdict import Finding, Outcome


def judge_images(ask: Ask, where: str, found: Mapping[str, Any]) -> Finding:
    """FAIL when an image is not as asked, NO_DATA without containers. Raises ValueError when a registry does not tell."""
    spec = ask.spec
    images = _images(found)
    if "container" in spec:
        images = {name: held for name, held in images.items() if name == spec["container"]}
    if not images:
        which = f"no container {spec['container']}" if "container" in spec else "no containers"
        return Finding(Outcome.NO_DATA, f"{where} has {which}", "", _threshold(spec), "images", 0)
    if "image" in spec:
        wrong = {name: held for name, held in images.items() if held != spec["image"]}
    elif spec.get("image_pinned"):
        wrong = {name: held for name, held in images.items() if not image(held).digest}
    else:
        return _signed(ask, where, found, images)
    name, held = next(iter((wrong or images).items()))
    others = f", and {len(wrong) - 1} more are not so" if len(wrong) > 1 else ""
    told = f"{where}: {name} has {held}" + ("" if "image" not in spec or not wrong else f", not {spec['image']}")
    if wrong and spec.get("image_pinned"):
        told += ", which names no digest: what it is can change under its name"
    outcome = Outcome.FAIL if wrong else Outcome.PASS
    return Finding(outcome, told + others, held, _threshold(spec), "", len(images))


def _signed(ask: Ask, where: str, found: Mapping[str, Any], images: Mapping[str, str]) -> Finding:
    login = ask.secrets.resolve(ask.spec["registry_login"]) if "registry_login" in ask.spec else ""
    if ":" in login:
        ask.secrets.know(login.split(":", 1)[1])
    # Whoever deploys an image chooses its registry: a login goes to the one it is for and to no other.
    home = image(f"{ask.spec.get('registry', '')}/x").host if login else ""
    running = _running(found)
    seen: list[str] = []
    threshold = _threshold(ask.spec)
    with Way(ask) as way:
        for name, held in images.items():
            what = image(held)
            if not what.digest and name in running:
                what = image(running[name])
            if not what.digest:
                told = f"{where}: {name} has {held}, which names no digest: a signature is for one"
                return Finding(Outcome.FAIL, told, held, threshold, "", len(images))
            place = signature(way, what, login if what.host == home else "")
            if not place:
                told = f"{where}: {what.host} holds no signature for {what.path}@{what.digest} ({name})"
                return Finding(Outcome.FAIL, told, what.digest, threshold, "", len(images))
            seen.append(f"{name} by {place}")
    return Finding(Outcome.PASS, f"{where}: {', '.join(seen)}", str(len(images)), threshold, "images", len(images))


def _threshold(spec: Mapping[str, Any]) -> str:
    if "image" in spec:
        return str(spec["image"])
    return "pinned by digest" if spec.get("image_pinned") else "a signature in the registry"


def _images(found: Mapping[str, Any]) -> dict[str, str]:
    """Container to image, of a pod or of what makes pods, those that run first included."""
    spec = found.get("spec") or {}
    for step in ("jobTemplate", "spec", "template", "spec"):
        spec = spec.get(step, spec)
    rows = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return {str(row.get("name", "?")): str(row.get("image", "")) for row in rows}


def _running(found: Mapping[str, Any]) -> dict[str, str]:
    """Container to the image a node has pulled for it, with its digest, where the object is a pod that runs."""
    status = found.get("status") or {}
    rows = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    told = {str(row.get("name", "?")): str(row.get("imageID", "")) for row in rows}
    return {name: held.removeprefix("docker-pullable://") for name, held in told.items() if "@sha256:" in held}

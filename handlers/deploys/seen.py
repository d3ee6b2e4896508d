"""Turns what the cluster shows of workloads into tellings: a rollout is what differs from what it has shown before."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from bot.effects import Tx
from handlers.deploys import decide, kinds, rollout, rules, table
from handlers.deploys.kinds import Status, Told, Workload
from handlers.deploys.read import key_of, line
from handlers.deploys.rollout import Rollout, Stage
from handlers.desk import Desk

log = logging.getLogger(__name__)
STATUS: Mapping[Stage, Status] = {
    Stage.ROLLING: Status.STARTED,
    Stage.COMPLETE: Status.SUCCEEDED,
    Stage.FAILED: Status.FAILED,
}
CLOCKS_S = 60.0
"""Seconds by which the cluster's clock may be behind ours when a workload's age is looked at."""


def listed(desk: Desk, namespace: str, kind: Workload, bodies: Iterable[Mapping[str, Any]], *, now: float) -> int:
    """Compare all the workloads of a kind with what was shown before; how many deploys that moved.

    The first list of a namespace is only remembered: what it shows was deployed before anybody looked.
    """
    place = f"{namespace}/{kind}/"
    with desk.store.read() as c:
        known = table.workload(c, place)
    moved = sum(_look(desk, namespace, kind, body, now=now, first=known is None, listed=True) for body in bodies)
    if known is None:
        with desk.store.write() as c:
            table.write_workload(c, place, {"at": now})
    return moved


def changed(desk: Desk, namespace: str, kind: Workload, body: Mapping[str, Any], *, now: float) -> bool:
    """Compare one workload with what was shown of it before; True when that begins or moves a deploy."""
    return _look(desk, namespace, kind, body, now=now, first=False, listed=False)


def _look(
    desk: Desk, namespace: str, kind: Workload, body: Mapping[str, Any], *, now: float, first: bool, listed: bool
) -> bool:
    name = str((body.get("metadata") or {}).get("name") or "")
    service = kinds.workloads(desk.services).get(name)
    if service is None:
        return False
    try:
        seen = rollout.read(kind, body)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        log.warning("%s %s/%s cannot be read: %r", kind, namespace, name, e)
        return False
    if seen is None:
        return False
    place = f"{namespace}/{kind}/{name}"
    with desk.store.read() as c:
        row, since = table.workload(c, place), table.workload(c, f"{namespace}/{kind}/")
    if row is not None and not _news(row, seen):
        return False
    if row is None and (first or since is None or seen.made_at < since.at - CLOCKS_S):
        _remember(desk, place, seen, service, desk.deploys.environment(namespace), now=now)
        return False
    with desk.engine.transaction(now) as tx:
        return _tell(desk, tx, (namespace, kind, service), seen, listed=listed)


def _news(row: Any, seen: Rollout) -> bool:
    """Whether a workload shows anything but what it has shown, and not only that pods come and go or are scaled."""
    if row.object_uid != seen.uid or row.revision != seen.revision:
        return True
    if row.state in (Stage.COMPLETE.value, seen.stage.value):
        return False
    return not (row.state == Stage.FAILED.value and seen.stage is Stage.ROLLING)


def _remember(desk: Desk, place: str, seen: Rollout, service: str, environment: str, *, now: float) -> None:
    """What was there before anybody looked is no deploy."""
    with desk.store.write() as c:
        where = table.place(c, service, environment)
        table.write_workload(
            c, place, _shown(seen, now, {"now": dict(seen.images), "before": {}}) | {"state": Stage.COMPLETE.value}
        )
        if not where.version:
            table.runs(c, service, environment, _version(seen, {}), None)


def _tell(desk: Desk, tx: Tx, whose: tuple[str, Workload, str], seen: Rollout, *, listed: bool) -> bool:
    """Write down what is shown now, and tell of it as of a deploy."""
    namespace, kind, service = whose
    place = f"{namespace}/{kind}/{seen.name}"
    # What is deployed to a place is always taken before the rows of its deploys: two transactions never wait for one another.
    table.place(tx.c, service, desk.deploys.environment(namespace))
    row = table.workload(tx.c, place, keep=True)
    if row is not None and not _news(row, seen):
        return False  # another replica was first
    seq, images = 1, {"now": dict(seen.images), "before": {}}
    if row is None:
        if not table.write_workload(tx.c, place, _shown(seen, tx.now, images) | {"seq": seq}):
            return False  # as above
    else:
        seq, images = row.seq, json.loads(row.images)
        if row.object_uid != seen.uid or row.revision != seen.revision:
            images = {"now": dict(seen.images), "before": images["now"]}
            why = f"{_version(seen, images['before'])} took its place"
            decide.replaced(desk, tx, _key(place, row.object_uid, seq), why)
            seq += 1
        table.change_workload(tx.c, place, _shown(seen, tx.now, images) | {"seq": seq})
    _told(desk, tx, whose, seen, seq, images["before"], listed=listed)
    return True


def _told(
    desk: Desk,
    tx: Tx,
    whose: tuple[str, Workload, str],
    seen: Rollout,
    seq: int,
    images: Mapping[str, str],
    *,
    listed: bool,
) -> None:
    """Tell of a rollout. ``images``: container → image of what it replaces."""
    namespace, kind, service = whose
    place = f"{namespace}/{kind}/{seen.name}"
    image = seen.image(images)
    before = images.get(next((name for name, one in seen.images.items() if one == image), ""), "")
    at = tx.now
    if listed and seen.stage is not Stage.ROLLING and seen.moved_at is not None:
        at = min(tx.now, seen.moved_at)  # it happened while nobody looked
    told = Told(
        _key(place, seen.uid, seq),
        f"{rules.CLUSTER}:{place}",
        rules.CLUSTER,
        service,
        desk.deploys.environment(namespace),
        STATUS[seen.stage].value,
        at,
        _version(seen, images),
        image,
        before=rules.tag_of(before) or before,
        by=line(seen.by, 80),
        why=seen.why,
    )
    decide.take(desk, tx, told)


def _key(place: str, uid: str, seq: int) -> str:
    return key_of(rules.CLUSTER, place, uid, str(seq))


def _shown(seen: Rollout, now: float, images: Mapping[str, Any]) -> dict[str, Any]:
    kept = json.dumps(images, ensure_ascii=False)
    return {"object_uid": seen.uid, "revision": seen.revision, "state": seen.stage.value, "images": kept, "at": now}


def _version(seen: Rollout, before: Mapping[str, str]) -> str:
    """What the rollout is a version of: its image's tag, its label's word, or what stands for it."""
    image = seen.image(before)
    return line(rules.tag_of(image) or seen.labelled or image or f"revision {seen.revision}")

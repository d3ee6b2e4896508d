"""Lists page by page and watches that miss nothing, as a controller relies on them."""

from __future__ import annotations

import json
import threading

import pytest
from ground.waiting import until
from kubernetes import client, watch
from kubernetes.client.rest import ApiException


@pytest.fixture
def core(api):
    return client.CoreV1Api(api)


def config_map(name, **labels):
    return {"metadata": {"name": name, "labels": labels}}


class Follower:
    """A watch on a thread until ``count`` events have come: ``events`` are (type, name), ``ended`` what ended it."""

    def __init__(self, listing, *, count, **options):
        self.events, self.ended = [], None
        self._count = count
        self._thread = threading.Thread(target=self._follow, args=(listing, options), daemon=True)
        self._thread.start()

    def _follow(self, listing, options):
        source = watch.Watch()
        try:
            for event in source.stream(listing, "prod", timeout_seconds=8, **options):
                self.events.append((event["type"], event["raw_object"]["metadata"].get("name")))
                if len(self.events) == self._count:
                    source.stop()
        except ApiException as error:
            self.ended = error

    def done(self):
        self._thread.join(8)
        assert not self._thread.is_alive()
        return self.events


def revision(core):
    return core.list_namespaced_config_map("prod").metadata.resource_version


def test_a_watch_tells_what_was_then_what_changes(core):
    core.create_namespaced_config_map("prod", config_map("was"))
    follower = Follower(core.list_namespaced_config_map, count=3)
    until(lambda: follower.events)
    core.create_namespaced_config_map("prod", config_map("new"))
    core.create_namespaced_config_map("stage", config_map("elsewhere"))
    core.delete_namespaced_config_map("was", "prod")
    assert follower.done() == [("ADDED", "was"), ("ADDED", "new"), ("DELETED", "was")]


def test_a_watch_from_a_revision_misses_nothing_in_between(core):
    since = revision(core)
    core.create_namespaced_config_map("prod", config_map("a"))
    core.patch_namespaced_config_map("a", "prod", {"data": {"x": "1"}})
    core.delete_namespaced_config_map("a", "prod")
    follower = Follower(core.list_namespaced_config_map, resource_version=since, count=3)
    assert follower.done() == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_an_object_that_leaves_the_selector_is_deleted_for_the_watcher(core):
    since = revision(core)
    follower = Follower(core.list_namespaced_config_map, count=3, resource_version=since, label_selector="tier=a")
    core.create_namespaced_config_map("prod", config_map("one", tier="a"))
    core.create_namespaced_config_map("prod", config_map("two", tier="b"))
    core.patch_namespaced_config_map("one", "prod", {"metadata": {"labels": {"tier": "b"}}})
    core.patch_namespaced_config_map("two", "prod", {"metadata": {"labels": {"tier": "a"}}})
    assert follower.done() == [("ADDED", "one"), ("DELETED", "one"), ("ADDED", "two")]


def test_a_revision_that_is_forgotten_is_gone(cluster, core):
    core.create_namespaced_config_map("prod", config_map("a"))
    since = revision(core)
    core.create_namespaced_config_map("prod", config_map("b"))
    cluster.compact()
    follower = Follower(core.list_namespaced_config_map, resource_version=since, count=1)
    follower.done()
    assert follower.ended is not None
    assert follower.ended.status == 410


def test_a_watch_from_the_newest_revision_survives_the_history(cluster, core):
    since = revision(core)
    cluster.compact()  # at the newest revision: nothing is missed yet
    follower = Follower(core.list_namespaced_config_map, resource_version=since, count=1)
    core.create_namespaced_config_map("prod", config_map("a"))
    assert follower.done() == [("ADDED", "a")]


def test_bookmarks_carry_the_revision_on(core):
    since = revision(core)
    core.create_namespace({"metadata": {"name": "elsewhere"}})
    reply = core.list_namespaced_config_map(
        "prod",
        watch=True,
        resource_version=since,
        allow_watch_bookmarks=True,
        timeout_seconds=1,
        _preload_content=False,
    )
    events = [json.loads(line) for line in reply.data.splitlines()]
    assert [event["type"] for event in events] == ["BOOKMARK"]
    assert int(events[0]["object"]["metadata"]["resourceVersion"]) > int(since)


def test_a_list_page_by_page_is_of_one_moment(core):
    for i in range(7):
        core.create_namespaced_config_map("prod", config_map(f"m{i}"))
    first = core.list_namespaced_config_map("prod", limit=3)
    assert first.metadata.remaining_item_count == 4
    core.delete_namespaced_config_map("m4", "prod")
    core.create_namespaced_config_map("prod", config_map("m3a"))
    rest, token = [], first.metadata._continue
    while token:
        page = core.list_namespaced_config_map("prod", limit=3, _continue=token)
        rest += [item.metadata.name for item in page.items]
        token = page.metadata._continue
    assert [item.metadata.name for item in first.items] + rest == [f"m{i}" for i in range(7)]


def test_a_page_after_the_history_is_gone(cluster, core):
    for i in range(3):
        core.create_namespaced_config_map("prod", config_map(f"m{i}"))
    token = core.list_namespaced_config_map("prod", limit=1).metadata._continue
    core.create_namespaced_config_map("prod", config_map("more"))
    cluster.compact()
    with pytest.raises(ApiException) as gone:
        core.list_namespaced_config_map("prod", limit=1, _continue=token)
    assert gone.value.status == 410
    assert json.loads(gone.value.body)["reason"] == "Expired"


@pytest.mark.parametrize(
    ("selector", "want"),
    [
        ("app=a", ["one", "two"]),
        ("app==a,tier=x", ["one"]),
        ("app!=a", ["four", "three"]),
        ("app in (a, b)", ["one", "three", "two"]),
        ("app notin (a, b)", ["four"]),
        ("tier", ["one", "three"]),
        ("!tier", ["four", "two"]),
        ("app in (a),!tier", ["two"]),
        ("example.org/team=web", ["four"]),
    ],
)
def test_label_selectors(core, selector, want):
    core.create_namespaced_config_map("prod", config_map("one", app="a", tier="x"))
    core.create_namespaced_config_map("prod", config_map("two", app="a"))
    core.create_namespaced_config_map("prod", config_map("three", app="b", tier="y"))
    core.create_namespaced_config_map("prod", config_map("four", **{"example.org/team": "web"}))
    found = core.list_namespaced_config_map("prod", label_selector=selector)
    assert sorted(item.metadata.name for item in found.items) == want


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"label_selector": "a in b"}, "unable to parse requirement"),
        ({"label_selector": "a=b=c"}, "unable to parse requirement"),
        ({"field_selector": "data.x=1"}, "field label not supported: data.x"),
    ],
)
def test_a_selector_that_cannot_be_read_is_refused(core, options, said):
    with pytest.raises(ApiException) as refused:
        core.list_namespaced_config_map("prod", **options)
    assert refused.value.status == 400
    assert said in json.loads(refused.value.body)["message"]


def test_events_are_found_by_what_they_are_about(core):
    for about in ("gateway", "docs-api"):
        involved = {"kind": "Deployment", "name": about, "namespace": "prod"}
        body = {"metadata": {"name": f"e-{about}"}, "involvedObject": involved, "reason": "Drill"}
        core.create_namespaced_event("prod", body)
    found = core.list_namespaced_event("prod", field_selector="involvedObject.name=gateway,reason=Drill")
    assert [item.metadata.name for item in found.items] == ["e-gateway"]

"""The bot's own list and watch: pages, bookmarks, what is too old, a server that is gone, and an end from outside."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import yaml
from ground.waiting import until
from kubernetes import client

from bot.errors import GiveUp, Retry
from bot.integrations.kubernetes import Gone, KubernetesSettings, ListRef
from bot.integrations.kubernetes import client as bot_side
from bot.integrations.kubernetes.client import KubernetesClient
from handlers.deploys.kinds import Workload

ROOT = Path(__file__).resolve().parents[3]
DEPLOYMENTS = ListRef("apps/v1", "deployments", "prod")
MAPS = ListRef("v1", "configmaps", "prod")


class Heard:
    """A watch that another thread iterates over."""

    def __init__(self, watching):
        self.watching = watching
        self.events = []
        self.error = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            for event in self.watching:
                self.events.append(event)
        except (Gone, Retry, GiveUp) as e:
            self.error = e

    def names(self, kind="ADDED"):
        return [event.body["metadata"]["name"] for event in self.events if event.type == kind]


@pytest.fixture
def core(api):
    return client.CoreV1Api(api)


def put(core, name):
    core.create_namespaced_config_map("prod", {"metadata": {"name": name}, "data": {"a": "b"}})


def test_a_list_is_whole_however_many_pages_it_has(core, bot_client):
    many = bot_side.PAGE + 3
    for n in range(many):
        put(core, f"one-{n:03d}")
    found = bot_client.listing(MAPS)
    assert len(found.items) == many
    assert int(found.version) > 0
    assert bot_client.listing(ListRef("v1", "configmaps", "nowhere")).items == []


def test_what_changes_after_a_list_is_heard_and_nothing_from_before(core, bot_client):
    put(core, "before")
    found = bot_client.listing(MAPS)
    heard = Heard(bot_client.watch(MAPS, found.version, seconds=30))
    put(core, "after")
    core.patch_namespaced_config_map("after", "prod", {"data": {"a": "c"}})
    core.delete_namespaced_config_map("before", "prod")
    until(lambda: heard.names("DELETED"))
    assert (heard.names(), heard.names("MODIFIED"), heard.names("DELETED")) == (["after"], ["after"], ["before"])
    heard.watching.cancel()
    heard.thread.join(5)
    assert not heard.thread.is_alive()
    assert heard.error is None


def test_a_watch_ends_with_a_bookmark_from_which_the_next_goes_on(core, bot_client):
    version = bot_client.listing(MAPS).version
    core.create_namespaced_service_account("prod", {"metadata": {"name": "of-another-kind"}})
    heard = Heard(bot_client.watch(MAPS, version, seconds=1))
    heard.thread.join(6)
    assert not heard.thread.is_alive()
    assert [event.type for event in heard.events] == ["BOOKMARK"]
    assert int(heard.events[0].version) > int(version)


def test_a_version_that_is_forgotten_is_gone(cluster, core, bot_client):
    version = bot_client.listing(MAPS).version
    put(core, "more")
    cluster.compact()
    heard = Heard(bot_client.watch(MAPS, version, seconds=5))
    until(lambda: heard.error is not None)
    assert isinstance(heard.error, Gone)


def test_a_server_that_goes_silent_is_given_up_after_its_time_and_a_timeout(cluster, core, url):
    impatient = KubernetesClient(KubernetesSettings(url=url, timeout=0.5))
    version = impatient.listing(MAPS).version
    cluster.faults.breaks("hang", seconds=30)
    began = time.monotonic()
    with pytest.raises(Retry):
        list(impatient.watch(MAPS, version, seconds=1))
    assert time.monotonic() - began < 6
    impatient.close()


def test_a_refusal_says_what_to_do(cluster_with, url, calls):
    cluster = cluster_with(rollout_seconds=None, require_token=True)
    assert cluster
    stranger = KubernetesClient(KubernetesSettings(url=url, timeout=2))
    with pytest.raises(GiveUp, match="renew the token"):
        stranger.listing(DEPLOYMENTS)
    with pytest.raises(GiveUp, match="renew the token"):
        stranger.watch(DEPLOYMENTS, "1", seconds=5)
    stranger.close()


def test_the_role_that_is_shipped_lets_the_bot_watch_what_it_watches_and_no_secret(cluster, api, api_of, url):
    cluster.add_token("bots", "system:serviceaccount:release-captain:release-captain")
    role, binding = yaml.safe_load_all((ROOT / "deploy/kubernetes/watched/role.yaml").read_text())
    rbac = client.RbacAuthorizationV1Api(api)
    rbac.create_namespaced_role("prod", role)
    rbac.create_namespaced_role_binding("prod", binding)
    mine = KubernetesClient(KubernetesSettings(url=url, timeout=2))
    mine._api = api_of("bots")
    for kind in Workload:
        what = ListRef("apps/v1", kind.value, "prod")
        mine.watch(what, mine.listing(what).version, seconds=1).cancel()
    with pytest.raises(GiveUp, match="grant the bot's account"):
        mine.listing(ListRef("v1", "secrets", "prod"))
    with pytest.raises(GiveUp, match="grant the bot's account"):
        mine.listing(ListRef("apps/v1", "deployments", "stage"))


def test_a_server_that_fails_is_asked_later(cluster, bot_client):
    cluster.faults.breaks("500", times=1)
    with pytest.raises(Retry):
        bot_client.listing(DEPLOYMENTS)
    cluster.faults.breaks("429", times=1, retry_after=7)
    with pytest.raises(Retry) as e:
        bot_client.watch(DEPLOYMENTS, "1", seconds=5)
    assert e.value.after == 7

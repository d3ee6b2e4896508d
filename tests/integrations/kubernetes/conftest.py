"""A pretend cluster on a port of its own, the official client that talks to it, and the bot's client."""

from __future__ import annotations

import pytest
from kubernetes import client

from bot.integrations.kubernetes import KubernetesSettings
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.fake import FakeKubernetes


@pytest.fixture
def api_of(door):
    """``api_of(token)`` is an ApiClient of the official client, closed after the test."""
    made = []

    def make(token=""):
        configuration = client.Configuration()
        configuration.host = door.url
        if token:
            configuration.api_key["BearerToken"] = f"Bearer {token}"
        made.append(client.ApiClient(configuration))
        return made[-1]

    yield make
    for api in made:
        api.close()


@pytest.fixture
def cluster_with(door, calls):
    """``cluster_with(seed=…, rollout_seconds=…)`` is a cluster behind the door until the test ends."""
    made = []

    def make(**options):
        made.append(FakeKubernetes(calls, **options))
        door.app = made[-1].app
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


@pytest.fixture
def cluster(cluster_with):
    """The seeded cluster without controllers: nothing changes by itself."""
    return cluster_with(rollout_seconds=None)


@pytest.fixture
def api(cluster, api_of):
    return api_of()


@pytest.fixture
def url(door):
    return door.url


@pytest.fixture
def bot_client(cluster, url):
    made = KubernetesClient(KubernetesSettings(url=url, timeout=2))
    yield made
    made.close()

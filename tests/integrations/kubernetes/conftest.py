"""A pretend cluster on a port of its own, the official client that talks to it, and the bot's client."""

from __future__ import annotations

import pytest
from kubernetes import client

from bot.integrations.kubernetes import KubernetesSettings
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.fake import FakeKubernetes
from bot.standin import CallLog, serve


class Door:
    """An address that stays while the app behind it changes: starting a server for each test would cost 0.2 s."""

    def __init__(self):
        self.app = None
        self.served = serve(self)

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def _door():
    door = Door()
    yield door
    door.served.stop()


@pytest.fixture
def calls():
    return CallLog()


@pytest.fixture
def api_of(_door):
    """``api_of(token)`` is an ApiClient of the official client, closed after the test."""
    made = []

    def make(token=""):
        configuration = client.Configuration()
        configuration.host = _door.served.url
        if token:
            configuration.api_key["BearerToken"] = f"Bearer {token}"
        made.append(client.ApiClient(configuration))
        return made[-1]

    yield make
    for api in made:
        api.close()


@pytest.fixture
def cluster_with(_door, calls):
    """``cluster_with(seed=…, rollout_seconds=…)`` is a cluster behind the door until the test ends."""
    made = []

    def make(**options):
        made.append(FakeKubernetes(calls, **options))
        _door.app = made[-1].app
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
def url(_door):
    return _door.served.url


@pytest.fixture
def bot_client(cluster, url):
    made = KubernetesClient(KubernetesSettings(url=url, timeout=2))
    yield made
    made.close()

"""What every test can ask for; see tests/ground."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["ground.postgres", "ground.real_prometheus", "ground.bodies", "ground.doors"]

# How fast a shared machine draws examples is no property of ours.
settings.register_profile("captain", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("captain")

MARKED_BY_FIXTURE = {"postgres_server": "postgres", "real_prometheus": "realprom"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for a real server carries its mark, so that nobody can forget it."""
    for item in items:
        for fixture, mark in MARKED_BY_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)

"""What every test can ask for; see tests/ground."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["ground.postgres", "ground.real_prometheus", "ground.bodies", "ground.doors"]

# How fast a shared machine draws examples is no property of ours.
settings.register_profile("captain", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("captain")

LONG = ("chaos", "stories", "upgrade", "ground")
"""Folders of tests that mostly wait: begun first, so that the last minute is not one long file on one processor."""
MARKED_BY_FIXTURE = {"postgres_server": "postgres", "real_prometheus": "realprom"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones go first; and a test that asks for a real server carries its mark, so that nobody can forget it."""
    items.sort(key=lambda item: LONG.index(item.path.parent.name) if item.path.parent.name in LONG else len(LONG))
    for item in items:
        for fixture, mark in MARKED_BY_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)

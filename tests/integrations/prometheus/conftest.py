"""One server for all tests of this folder: each test puts its own stand-in behind it."""

from __future__ import annotations

import pytest

from bot.standin import serve


class Door:
    """An address that stays while the app behind it changes."""

    def __init__(self) -> None:
        self.app = None
        self.served = serve(self)
        self.url = self.served.url

    async def __call__(self, scope, receive, send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def _door():
    door = Door()
    yield door
    door.served.stop()


@pytest.fixture
def behind(_door):
    """``behind(app)`` serves the app until the test ends and gives its address."""

    def put(app) -> str:
        _door.app = app
        return _door.url

    return put

"""Where something about an incident may be said; of a private one never where others read."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from handlers.rooms.place import place


def row(**given: object) -> SimpleNamespace:
    return SimpleNamespace(**({"private": False, "room": "", "channel": "C1", "thread_ts": "1.0"} | given))


@pytest.mark.parametrize("thread", [False, True])
def test_a_private_incident_has_its_own_channel_or_no_place_at_all(*, thread: bool):
    assert place(row(private=True), thread=thread) is None
    assert place(row(private=True, room="C9"), thread=thread) == ("C9", None)


def test_others_go_on_in_their_channel_and_else_in_their_thread():
    assert place(row()) == ("C1", "1.0")
    assert place(row(room="C9")) == ("C9", None)
    assert place(row(room="C9"), thread=True) == ("C1", "1.0")
    assert place(row(thread_ts="")) is None

"""A run is stopped by who watches it, and nobody watches what is over."""

from __future__ import annotations

import threading

from runbooks.watched import watched


def test_it_is_stopped_when_somebody_says_so():
    asked = iter([False, False, True])
    with watched(lambda: next(asked), every=0.01) as stop:
        assert stop.wait(5)


def test_what_is_over_is_watched_no_more():
    looks: list[int] = []
    with watched(lambda: bool(looks.append(1)), every=0.01) as stop:
        threading.Event().wait(0.1)
    count = len(looks)
    assert count > 1
    threading.Event().wait(0.05)
    assert len(looks) == count
    assert not stop.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "watch-run"]

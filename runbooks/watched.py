"""Watches something beside a run, and stops the run when that says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def watched(look: Callable[[], bool], *, every: float) -> Iterator[threading.Event]:
    """Ask ``look`` every so many seconds until it says True; that sets the event a run is cancelled by.

    Nobody asks any more once the block is left. What it raises ends the watching.
    """
    stop, over = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(every):
            if look():
                stop.set()
                return

    thread = threading.Thread(target=watch, name="watch-run", daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        over.set()
        thread.join()

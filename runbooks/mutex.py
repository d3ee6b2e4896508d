"""What the runs of one process share: keys that only one check holds at a time, and the looks that were given up on."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_LEFT_BEHIND = 32
"""Looks that did not come back in time and whose threads still wait on their client; no more than these are left behind."""

_SHARED: dict[str, Shared] = {}


@dataclass(eq=False)
class Holder:
    """Somebody who may hold keys. ``over``: its check has its result, and only looks that were left behind may still run."""

    over: bool = False


@dataclass
class Shared:
    """The keys that are held, by whom, and the threads that were left behind; ``starting`` is held while a program is started."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    starting: threading.Lock = field(default_factory=threading.Lock)
    held: dict[str, Holder] = field(default_factory=dict)
    left: dict[threading.Thread, Holder] = field(default_factory=dict)

    def take(self, keys: Iterable[str], holder: Holder) -> bool:
        """Take all of the keys for a holder, or none of them and say False."""
        wanted = tuple(keys)
        if not wanted:
            return True
        with self.lock:
            self._forget_those_that_ended()
            if any(key in self.held for key in wanted):
                return False
            self.held.update(dict.fromkeys(wanted, holder))
            return True

    def give_back(self, holder: Holder) -> None:
        """A check is over: let go of what it holds, or, while a look of it that was given up on still runs, when that ends."""
        with self.lock:
            holder.over = True
            self._forget_those_that_ended()
            self._release(holder)

    def leave_behind(self, thread: threading.Thread, holder: Holder) -> None:
        """Nobody waits for a look any more; what its check holds stays held until its thread has ended."""
        with self.lock:
            self.left[thread] = holder

    def has_room(self, *, keeps_time: bool = False) -> bool:
        """Whether another look may be begun that might have to be left behind; one that keeps time seldom has to."""
        with self.lock:
            self._forget_those_that_ended()
            return len(self.left) < (4 * MAX_LEFT_BEHIND if keeps_time else MAX_LEFT_BEHIND)

    def _forget_those_that_ended(self) -> None:
        for thread in [thread for thread in self.left if not thread.is_alive()]:
            self._release(self.left.pop(thread))

    def _release(self, holder: Holder) -> None:
        if holder.over and not any(other is holder for other in self.left.values()):
            for key in [key for key, other in self.held.items() if other is holder]:
                del self.held[key]


def shared() -> Shared:
    """The one of this process; whoever asks first makes it."""
    return _SHARED.setdefault("of this process", Shared())

"""The ear for the cluster: a list and then a watch of each kind of workload in each namespace, for as long as the bot runs."""

from __future__ import annotations

import logging
import random
import threading
import time

import sqlalchemy as sa

from bot.app import Captain
from bot.errors import GiveUp, Retry
from bot.integrations.kubernetes import Cluster, Gone, ListRef, Watching
from handlers.deploys.kinds import Workload

log = logging.getLogger(__name__)
API = "apps/v1"
FIRST, LONGEST = 0.5, 60.0
"""Seconds before a watch that failed is begun anew: twice as many each time, up to the longest."""
SECONDS = 50
"""Seconds of one watch: a line that is dead is found out after that and a timeout, and a new watch costs one request."""


class Watcher:
    """One process's watches. Each replica has its own: what two of them see is one deploy all the same.

    ``seconds``: of one watch; ``first``: s before a failed one is begun anew.
    """

    def __init__(self, captain: Captain, *, seconds: int = SECONDS, first: float = FIRST) -> None:
        self._captain = captain
        self._seconds = seconds
        self._first = first
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: set[Watching] = set()
        watch, cluster = captain.settings.deploys.watch, captain.outside.cluster
        pairs = [(namespace, kind) for namespace in watch.namespaces for kind in watch.kinds] if watch else []
        self._threads = [
            threading.Thread(target=self._keep, args=(cluster, *pair), name=f"watch-{pair[0]}-{pair[1]}", daemon=True)
            for pair in pairs
            if cluster is not None
        ]
        for namespace, kind in pairs:
            captain.meter.watches.labels(namespace, kind.value).set(0)

    def start(self) -> None:
        """Begin to watch; returns at once, whether the cluster answers or not."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End every watch; nothing is heard of afterwards."""
        self._stopping.set()
        with self._lock:
            for one in self._open:
                one.cancel()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _keep(self, cluster: Cluster, namespace: str, kind: Workload) -> None:
        what, pause, said = ListRef(API, kind.value, namespace), self._first, ""
        up = self._captain.meter.watches.labels(namespace, kind.value)
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._once(cluster, what, kind)
            except Gone as e:
                log.info("%s; it is listed anew", e)
                why = ""
            except (Retry, GiveUp) as e:
                why = e.reason
            except (sa.exc.SQLAlchemyError, OSError) as e:
                # What was shown is not written down: the next list shows it again.
                why = f"the database does not answer: {str(e).splitlines()[0][:200]}"
            except Exception:
                log.exception("the watch of %s in %s broke; it is begun anew", kind, namespace)
                why = "a fault of mine, see my log"
            else:
                why = ""
            if self._stopping.is_set():
                return
            up.set(0)
            if why and why != said:
                log.warning("rollouts of %s in %s are not heard of now: %s", kind, namespace, why)
            said = why
            pause = self._first if time.monotonic() - began > LONGEST else min(LONGEST, pause * 2)
            self._stopping.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret: replicas shall not ask at once

    def _once(self, cluster: Cluster, what: ListRef, kind: Workload) -> None:
        """List, then watch after watch from there, until one fails."""
        up = self._captain.meter.watches.labels(what.namespace, kind.value)
        found = cluster.listing(what)
        self._captain.saw(what.namespace, kind, found.items, listed=True)
        version = found.version
        while not self._stopping.is_set():
            watching = cluster.watch(what, version, seconds=self._seconds)
            if not self._holds(watching):
                return
            up.set(1)
            began = time.monotonic()
            try:
                for event in watching:
                    if self._stopping.is_set():
                        return
                    if event.type in ("ADDED", "MODIFIED"):
                        self._captain.saw(what.namespace, kind, [event.body], listed=False)
                    version = event.version
            finally:
                with self._lock:
                    self._open.discard(watching)
            if time.monotonic() - began < 1.0:
                self._stopping.wait(1.0)  # a server that ends each watch at once is not asked all the time

    def _holds(self, watching: Watching) -> bool:
        """Keep a watch where ``stop`` finds it; False when that has been called already."""
        with self._lock:
            if self._stopping.is_set():
                watching.cancel()
                return False
            self._open.add(watching)
            return True

"""The small world behind the stand-in: services with a rate, an error ratio, a latency and TLS failures, as counters.

Every counter is the integral of a rate that is constant between two settings, read off on a fixed scrape grid: no
thread, no memory that grows, and `rate()` over it gives back what was set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from statistics import NormalDist
from typing import Any

from bot.integrations.prometheus.fake_series import Labels, Point, counted, held, labels_of, matches, number
from bot.integrations.prometheus.fake_syntax import Matcher

ISTIO_BUCKETS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000)
"""Upper edges in milliseconds, as a mesh has them unless told otherwise: too coarse to tell 5 % of a p95."""

FINE_BUCKETS = (10.0, 25.0, *(round(50 * 1.02**n, 3) for n in range(152)), 2500.0, 10_000.0)
"""Edges at most 2 % apart between 50 ms and 1 s, for gates that compare a p95."""

MAX_CHANGES = 500
_SIGMA = 0.6  # spread of ln(latency); a service's p95 is about 2.7 times its median
_Z95 = 1.6448536269514722

Rate = Callable[["World"], float]


@dataclass(frozen=True)
class World:
    """How one service does. ``errors`` is a ratio (0-1), rps requests per second.

    ``tls_failures``: handshakes it refuses, per second. ``unanswered``: requests per second that ``source`` sends and that
    end in a failed handshake, so that only the source counts them. ``plaintext``: requests per second that arrive
    without mutual TLS, half from ``source`` and half from nobody knows whom. ``stranger``: requests per second under
    an identity of ``source`` that is not the registered one.
    """

    errors: float = 0.0005
    rps: float = 50.0
    p95_ms: float = 180.0
    tls_failures: float = 0.0
    up: bool = True
    source: str = "gateway"
    unanswered: float = 0.0
    plaintext: float = 0.0
    stranger: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.errors <= 1:
            raise ValueError(f"errors is a ratio between 0 and 1, not {self.errors}")
        if min(self.rps, self.tls_failures, self.unanswered, self.plaintext, self.stranger) < 0 or self.p95_ms <= 0:
            raise ValueError("rates such as rps and tls_failures cannot be negative, p95_ms must be more than 0")


@dataclass
class Service:
    """A service's settings over time, oldest first: (from UNIX ms, how it does from then on)."""

    changes: list[tuple[int, World]]

    def now(self) -> World:
        return self.changes[-1][1]

    def set(self, at_ms: int, world: World) -> None:
        kept = [change for change in self.changes if change[0] < at_ms]
        self.changes = [*kept, (at_ms, world)][-MAX_CHANGES:]

    def always(self, given: dict[str, Any]) -> None:
        """Have these settings hold from the beginning, and leave the others as they were over time."""
        self.changes = [(at, replace(world, **given)) for at, world in self.changes]

    def ever(self, rate: Rate) -> bool:
        """Whether there was any of it: a counter that never counted has no series."""
        return any(rate(world) for _, world in self.changes)


@dataclass
class Services:
    """All services; a ``Source`` of their series. ``clock`` gives UNIX seconds."""

    clock: Callable[[], float]
    scrape_ms: int
    began_ms: int
    buckets: Sequence[float]
    build: str
    held: dict[str, Service] = field(default_factory=dict)

    def set(self, service: str, at_ms: int, changes: dict[str, Any]) -> World:
        known = self.held.get(service)
        world = replace(known.now() if known else World(), **changes)
        if known is None:
            self.held[service] = Service([(min(self.began_ms, at_ms), world)])
        else:
            known.set(at_ms, world)
        return world

    def dump(self) -> dict[str, Any]:
        return {name: [[at, asdict(world)] for at, world in s.changes] for name, s in self.held.items()}

    def load(self, data: dict[str, Any]) -> None:
        self.held = {
            name: Service([(int(at), World(**world)) for at, world in changes]) for name, changes in data.items()
        }

    def select(self, matchers: Sequence[Matcher]) -> Iterator[tuple[Labels, Callable[[int, int], list[Point]]]]:
        for name, service in self.held.items():
            rows = [*_series(name, service.now(), self.buckets, self.build), *_strange(name, service)]
            for labels, rate in rows:
                if matches(labels, matchers):
                    yield labels, partial(self._points, service, rate)

    def _points(self, service: Service, rate: Rate | str, start: int, end: int) -> list[Point]:
        step = self.scrape_ms
        first = max(start, service.changes[0][0])
        last = min(end, int(self.clock() * 1000))
        grid = range(-(-first // step) * step, last + 1, step)
        if isinstance(rate, str):
            seen = [(at, held(service.changes, at)[1].up) for at in grid]
            return [(at, float(up) if rate == "up" else 1.0) for at, up in seen if up or rate == "up"]
        return counted(service.changes, rate, _is_up, grid)


def _is_up(world: World) -> bool:
    return world.up


def _series(service: str, world: World, buckets: Sequence[float], build: str) -> Iterator[tuple[Labels, Rate | str]]:
    target = (("env", "prod"), ("namespace", "prod"), ("pod", f"{service}-0"), ("instance", f"{service}-0:15090"))
    yield labels_of("up", (*target, ("job", "istio"))), "up"
    bot = (("version", build), ("job", "release-captain"), ("service", service))
    yield labels_of("captain_build_info", bot), "build"
    yield labels_of("envoy_cluster_ssl_fail_total", (*target, ("app", service))), lambda w: w.tls_failures
    yield labels_of("envoy_cluster_ssl_handshake", (*target, ("app", service))), lambda w: w.rps / 10
    for reporter in ("destination", "source"):
        for code in ("200", "503"):
            pairs = (*target, *_mesh(service, world.source, reporter), ("response_code", code))
            share: Rate = _good if code == "200" else _bad
            yield labels_of("istio_requests_total", pairs), share
            yield from _histogram(pairs, share, buckets)


def _strange(name: str, service: Service) -> Iterator[tuple[Labels, Rate]]:
    """Requests that should not be, each with the labels that give it away. In the clear nobody has an identity."""
    target = (("env", "prod"), ("namespace", "prod"), ("pod", f"{name}-0"), ("instance", f"{name}-0:15090"))
    source = service.now().source
    arrives = dict((*target, *_mesh(name, source, "destination"), ("response_code", "200")))
    bare = {"connection_security_policy": "none", "source_principal": "unknown", "destination_principal": "unknown"}
    nobody = {"source_workload": "unknown", "source_workload_namespace": "unknown"}
    other = {"source_principal": f"spiffe://prod.example.org/ns/prod/sa/{source}-old"}
    sent = dict((*target, *_mesh(name, source, "source")))
    lost = {"response_code": "503", "response_flags": "UF,URX", "destination_principal": "unknown"}
    rows: tuple[tuple[Rate, dict[str, str]], ...] = (
        (lambda w: w.plaintext / 2, arrives | bare),
        (lambda w: w.plaintext / 2, arrives | bare | nobody),
        (lambda w: w.stranger, arrives | other),
        (lambda w: w.unanswered, sent | lost),
    )
    for rate, labels in rows:
        if service.ever(rate):
            yield labels_of("istio_requests_total", labels.items()), rate


def _histogram(
    pairs: tuple[tuple[str, str], ...], share: Rate, buckets: Sequence[float]
) -> Iterator[tuple[Labels, Rate]]:
    name = "istio_request_duration_milliseconds"
    for edge in buckets:
        le = ("le", number(float(edge)))
        yield labels_of(f"{name}_bucket", (*pairs, le)), partial(_below, share, edge)
    yield labels_of(f"{name}_bucket", (*pairs, ("le", "+Inf"))), share
    yield labels_of(f"{name}_count", pairs), share
    yield labels_of(f"{name}_sum", pairs), lambda w: share(w) * _mean(w.p95_ms)


def _below(share: Rate, edge: float, world: World) -> float:
    return share(world) * below(world.p95_ms, edge)


def _good(world: World) -> float:
    return world.rps * (1 - world.errors)


def _bad(world: World) -> float:
    return world.rps * world.errors


def below(p95_ms: float, edge: float) -> float:
    """The share of requests at most ``edge`` milliseconds slow, when the 95th percentile is ``p95_ms``."""
    return NormalDist(math.log(p95_ms) - _Z95 * _SIGMA, _SIGMA).cdf(math.log(edge))


def _mean(p95_ms: float) -> float:
    return math.exp(math.log(p95_ms) - _Z95 * _SIGMA + _SIGMA**2 / 2)


def _mesh(service: str, source: str, reporter: str) -> tuple[tuple[str, str], ...]:
    return (
        ("reporter", reporter),
        ("source_workload", source),
        ("source_workload_namespace", "prod"),
        ("source_principal", f"spiffe://prod.example.org/ns/prod/sa/{source}"),
        ("destination_workload", service),
        ("destination_workload_namespace", "prod"),
        ("destination_service", f"{service}.prod.svc.cluster.local"),
        ("destination_service_name", service),
        ("destination_principal", f"spiffe://prod.example.org/ns/prod/sa/{service}"),
        # Only the receiving side knows whether a connection was mutual TLS.
        ("connection_security_policy", "mutual_tls" if reporter == "destination" else "unknown"),
        ("response_flags", "-"),
        ("request_protocol", "http"),
    )


def ascending(edges: Sequence[float]) -> bool:
    return all(low < high for low, high in pairwise(edges))

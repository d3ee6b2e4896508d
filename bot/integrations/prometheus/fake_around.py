"""What surrounds the services in the stand-in's world: SPIRE, a cache, previews, an audit stream, and the monitoring itself.

The names are those of SPIRE's telemetry, redis_exporter, kube-state-metrics, node_exporter, Prometheus and Alertmanager.
What has no exporter of its own in the world (the seeder of previews, the audit stream) says so where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache, partial
from typing import Any

from bot.integrations.prometheus.fake_series import Labels, Point, counted, held, labels_of, matches
from bot.integrations.prometheus.fake_syntax import Matcher

GROUPS = ("spire", "cache", "previews", "audit", "prometheus", "alertmanager", "nodes")
"""What is scraped together, and can go dark or down together."""

NODES = ("node-1", "node-2", "node-3")
PREVIEWS = ("pr-141", "pr-142", "pr-143")
TRUST_DOMAIN = "prod.example.org"
LONG_AGO = 30 * 86_400_000
"""Milliseconds for which everything has been running before the world began."""

SEEDING = ("done", "stuck", "failed")


@dataclass(frozen=True)
class Around:
    """How it does. Ratios are 0-1, rates per second.

    ``agents``: SPIRE agents that answer, of one per node. ``renewing``: whether they get their SVIDs renewed.
    ``ca_hours``: until SPIRE's CA expires. ``seeding``: how it goes in the newest preview. ``overdue``: whether the lease
    of the oldest preview was not renewed. ``clock_off``: seconds a node's clock is away. ``audited``: whether audit
    events arrive. ``down``: groups whose targets do not answer; ``dark``: groups nobody scrapes.
    """

    agents: int = len(NODES)
    renewing: bool = True
    ca_hours: float = 18.0
    cache_hits: float = 0.93
    cache_ms: float = 0.4
    evictions: float = 0.0
    seeding: str = "done"
    rows: float = 250.0
    unmasked: float = 0.0
    overdue: bool = False
    audited: bool = True
    rule_failures: float = 0.0
    loaded: bool = True
    undelivered: float = 0.0
    clock_off: float = 0.002
    down: tuple[str, ...] = ()
    dark: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.cache_hits <= 1 or not 0 <= self.undelivered <= 1 or not 0 <= self.agents <= len(NODES):
            raise ValueError(f"cache_hits and undelivered are ratios between 0 and 1, agents at most {len(NODES)}")
        if self.seeding not in SEEDING:
            raise ValueError(f"seeding is one of {', '.join(SEEDING)}, not {self.seeding!r}")
        if unknown := {*self.down, *self.dark} - {*GROUPS}:
            raise ValueError(f"there is no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")


@dataclass(frozen=True)
class Moment:
    """When a gauge is read (UNIX ms), how it is then, and since when it has been so."""

    at: int
    since: int
    around: Around

    @property
    def seconds(self) -> float:
        return self.at / 1000

    def last(self, going_on: bool, every: int) -> float:
        """When something that happens every so many seconds happened last (UNIX s), unless it has stopped."""
        until = self.at if going_on else min(self.at, self.since)
        return float(until // 1000 // every * every)


Gauge = Callable[[Moment], float]
Rate = Callable[[Around], float]


@dataclass(frozen=True)
class Row:
    """One series. A counter counts ``rate`` per second; a gauge has the value of ``gauge``."""

    group: str
    labels: Labels
    gauge: Gauge | None = None
    rate: Rate | None = None
    node: int | None = None
    """Of a SPIRE agent: its node's place."""
    unit: float = 1.0
    """What a counter counts in."""


@dataclass
class Surroundings:
    """A ``Source`` of all these series. ``clock`` gives UNIX seconds."""

    clock: Callable[[], float]
    scrape_ms: int
    began_ms: int
    changes: list[tuple[int, Around]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.changes = self.changes or [(self.began_ms, Around())]

    def now(self) -> Around:
        return self.changes[-1][1]

    def set(self, at_ms: int, given: dict[str, Any]) -> Around:
        """How it is from a time on. Raises ValueError for what cannot be."""
        around = replace(self.now(), **given)
        self.changes = [*[change for change in self.changes if change[0] < at_ms], (at_ms, around)]
        return around

    def calm(self, *names: str) -> None:
        """Have these settings be as in a calm world, now and in all that is remembered; without names all of them."""
        plain = Around()
        back = {one.name: getattr(plain, one.name) for one in fields(Around) if not names or one.name in names}
        self.changes = [(at, replace(around, **back)) for at, around in self.changes]

    def dump(self) -> list[list[Any]]:
        return [[at, asdict(around)] for at, around in self.changes]

    def load(self, data: list[list[Any]]) -> None:
        made = []
        for at, around in data:
            kept: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in around.items()}
            made.append((int(at), Around(**kept)))
        self.changes = made or [(self.began_ms, Around())]

    def select(self, matchers: Sequence[Matcher]) -> Iterator[tuple[Labels, Callable[[int, int], list[Point]]]]:
        for row in rows():
            if matches(row.labels, matchers):
                yield row.labels, partial(self._points, row)

    def _points(self, row: Row, start: int, end: int) -> list[Point]:
        step = self.scrape_ms
        first = max(start, self.changes[0][0])
        grid = range(-(-first // step) * step, min(end, int(self.clock() * 1000)) + 1, step)
        if row.rate is not None:
            return counted(self.changes, row.rate, partial(_seen, row), grid, row.unit)
        points: list[Point] = []
        for at in grid:
            since, around = held(self.changes, at)
            if row.group in around.dark:
                continue
            if row.gauge is None:
                points.append((at, float(_seen(row, around))))
            elif _seen(row, around):
                points.append((at, row.gauge(Moment(at, since, around))))
        return points


def _seen(row: Row, around: Around) -> bool:
    """Whether a scrape of the series' target succeeds."""
    reached = row.group not in around.dark and row.group not in around.down
    return reached and (row.node is None or row.node < around.agents)


@cache
def rows() -> Sequence[Row]:
    """Every series of the surroundings."""
    groups = (_spire, _cache, _previews, _audit, _prometheus, _alertmanager, _nodes)
    return tuple(row for group in groups for row in group())


def _target(group: str, job: str, instance: str, **more: str) -> tuple[Callable[..., Row], Row]:
    """A maker of the target's series, and its ``up``."""
    target = {"job": job, "instance": instance, **more}

    def row(name: str, *, gauge: Gauge | None = None, rate: Rate | None = None, **labels: str) -> Row:
        return Row(group, labels_of(name, {**target, **labels}.items()), gauge, rate)

    return row, Row(group, labels_of("up", target.items()))


def _always(value: float) -> Gauge:
    return lambda _moment: value


def _steady(rate: float) -> Rate:
    return lambda _around: rate


def _spire() -> Iterator[Row]:
    server, up = _target("spire", "spire-server", "spire-server-0:9988", namespace="spire")
    yield up
    yield server("spire_server_started", gauge=_always(1), version="1.13.3", trust_domain_id=TRUST_DOMAIN)
    yield server("spire_server_uptime_in_ms", gauge=lambda m: float(m.at % 86_400_000 + LONG_AGO))
    yield server(
        "spire_server_manager_x509_ca_rotate_expiration",
        gauge=lambda m: m.seconds + m.around.ca_hours * 3600,
        trust_domain_id=TRUST_DOMAIN,
    )
    yield server("spire_server_server_ca_sign_x509_svid", rate=lambda a: 0.05 if a.renewing else 0.0)
    for place, node in enumerate(NODES):
        row, up = _target("spire", "spire-agent", f"{node}:9988", namespace="spire", node=node)
        agent = [
            up,
            row("spire_agent_started", gauge=_always(1), version="1.13.3", trust_domain_id=TRUST_DOMAIN),
            row("spire_agent_uptime_in_ms", gauge=lambda m: float(m.at % 86_400_000 + LONG_AGO)),
            row("spire_agent_workload_api_connections", gauge=_always(6)),
            row("spire_agent_agent_svid_rotate", rate=lambda a: 1 / 1800 if a.renewing else 0.0, status="OK"),
            row("spire_agent_agent_svid_rotate", rate=lambda a: 0.0 if a.renewing else 0.1, status="Unavailable"),
            row("spire_agent_manager_sync_fetch_svids_updates", rate=lambda a: 0.2 * a.renewing, status="OK"),
            row(
                "spire_agent_manager_sync_fetch_svids_updates",
                rate=lambda a: 0.0 if a.renewing else 0.2,
                status="Unavailable",
            ),
        ]
        yield from (replace(one, node=place) for one in agent)


def _cache() -> Iterator[Row]:
    row, up = _target("cache", "redis", "docs-cache:9121", namespace="prod", service="docs-cache")
    yield up
    yield row("redis_up", gauge=_always(1))
    yield row("redis_keyspace_hits_total", rate=lambda a: 200 * a.cache_hits)
    yield row("redis_keyspace_misses_total", rate=lambda a: 200 * (1 - a.cache_hits))
    yield row("redis_evicted_keys_total", rate=lambda a: a.evictions)
    yield row("redis_rejected_connections_total", rate=_steady(0))
    yield row("redis_memory_used_bytes", gauge=lambda m: 2.0**30 if m.around.evictions else 0.6 * 2**30)
    yield row("redis_memory_max_bytes", gauge=_always(2.0**30))
    yield row("redis_connected_clients", gauge=_always(14))
    for cmd, rate in (("get", 200.0), ("set", 20.0)):
        yield row("redis_commands_total", rate=_steady(rate), cmd=cmd)
        spent: Rate = partial(_spent, rate)
        yield replace(row("redis_commands_duration_seconds_total", rate=spent, cmd=cmd), unit=1e-6)


def _spent(commands: float, around: Around) -> float:
    """Seconds spent per second."""
    return commands * around.cache_ms / 1000


def _previews() -> Iterator[Row]:
    row, up = _target("previews", "kube-state-metrics", "kube-state-metrics:8080")
    pushed, gateway_up = _target("previews", "pushgateway", "pushgateway:9091")
    yield up
    yield gateway_up
    for place, name in enumerate(PREVIEWS):
        newest, oldest = place == len(PREVIEWS) - 1, place == 0
        job = {"namespace": name, "job_name": "tdm-seed"}
        yield row("kube_namespace_status_phase", gauge=_always(1), namespace=name, phase="Active")
        yield row("kube_job_status_start_time", gauge=partial(_seed_began, newest), **job)
        yield row("kube_job_status_succeeded", gauge=partial(_seed_is, newest, "done"), **job)
        yield row("kube_job_status_active", gauge=partial(_seed_is, newest, "stuck"), **job)
        yield row("kube_job_status_failed", gauge=partial(_seed_is, newest, "failed"), **job)
        yield row("kube_lease_renew_time", gauge=partial(_renewed, oldest), namespace=name, lease="preview")
        # No exporter knows these: the seeder pushes them as it ends.
        for table in ("users", "documents"):
            yield pushed("tdm_seed_rows", gauge=partial(_seed_rows, newest), namespace=name, table=table)
        yield pushed("tdm_seed_unmasked_rows", gauge=lambda m: m.around.unmasked, namespace=name)


def _seed_began(newest: bool, moment: Moment) -> float:
    stuck = newest and moment.around.seeding != "done"
    return float(moment.since // 1000) if stuck else float((moment.at - LONG_AGO) // 86_400_000 * 86_400)


def _seed_is(newest: bool, state: str, moment: Moment) -> float:
    return float((moment.around.seeding if newest else "done") == state)


def _seed_rows(newest: bool, moment: Moment) -> float:
    return moment.around.rows if not newest or moment.around.seeding == "done" else 0.0


def _renewed(oldest: bool, moment: Moment) -> float:
    return moment.last(not (oldest and moment.around.overdue), 3600)


def _audit() -> Iterator[Row]:
    # No exporter knows these: the stream tells of itself.
    row, up = _target("audit", "audit", "audit:8080", namespace="observability")
    yield up
    yield row("audit_events_total", rate=lambda a: 0.5 if a.audited else 0.0)
    yield row("audit_last_event_timestamp_seconds", gauge=lambda m: m.last(m.around.audited, 2))


def _prometheus() -> Iterator[Row]:
    row, up = _target("prometheus", "prometheus", "prometheus-0:9090", namespace="monitoring")
    yield up
    rules = {"rule_group": "/etc/prometheus/rules.yml;slo"}
    yield row("prometheus_rule_evaluations_total", rate=_steady(0.5), **rules)
    yield row("prometheus_rule_evaluation_failures_total", rate=lambda a: a.rule_failures, **rules)
    yield row("prometheus_rule_group_iterations_missed_total", rate=_steady(0), **rules)
    yield row(
        "prometheus_rule_group_last_evaluation_timestamp_seconds", gauge=lambda m: float(m.at // 30_000 * 30), **rules
    )
    yield row("prometheus_config_last_reload_successful", gauge=lambda m: float(m.around.loaded))
    yield row("prometheus_notifications_dropped_total", rate=_steady(0))
    yield row("prometheus_notifications_alertmanagers_discovered", gauge=_always(1))
    yield row("prometheus_tsdb_head_series", gauge=_always(48_210))
    yield row("prometheus_tsdb_head_samples_appended_total", rate=_steady(3200), type="float")
    yield row("prometheus_tsdb_compactions_failed_total", rate=_steady(0))
    yield row("prometheus_tsdb_wal_corruptions_total", rate=_steady(0))


def _alertmanager() -> Iterator[Row]:
    row, up = _target("alertmanager", "alertmanager", "alertmanager-0:9093", namespace="monitoring")
    yield up
    yield row("alertmanager_config_last_reload_successful", gauge=lambda m: float(m.around.loaded))
    yield row("alertmanager_cluster_members", gauge=_always(1))
    yield row("alertmanager_alerts_received_total", rate=_steady(0.1), status="firing", version="v2")
    for integration, rate in (("webhook", 0.05), ("pagerduty", 0.001)):
        kind = {"integration": integration, "receiver_name": "captain"}
        yield row("alertmanager_notifications_total", rate=_steady(rate), **kind)
        for reason in ("clientError", "serverError", "other"):
            failing: Rate = partial(_failing, rate, integration == "webhook" and reason == "serverError")
            yield row("alertmanager_notifications_failed_total", rate=failing, reason=reason, **kind)


def _failing(rate: float, affected: bool, around: Around) -> float:
    return rate * around.undelivered if affected else 0.0


def _nodes() -> Iterator[Row]:
    for place, name in enumerate(NODES):
        row, up = _target("nodes", "node", f"{name}:9100", node=name)
        yield up
        yield row("kube_node_info", gauge=_always(1))
        off: Gauge = partial(_off, place == 0)
        yield row("node_timex_offset_seconds", gauge=off)
        yield row("node_timex_sync_status", gauge=lambda m: float(m.around.clock_off < 1))


def _off(affected: bool, moment: Moment) -> float:
    return moment.around.clock_off if affected else Around().clock_off

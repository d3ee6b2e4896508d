"""A stand-in for Prometheus: its HTTP API over a small synthetic world, with an honest subset of PromQL."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bot.integrations.prometheus.fake_around import Around, Surroundings
from bot.integrations.prometheus.fake_eval import Evaluation, ExecutionError, QueryTimeoutError
from bot.integrations.prometheus.fake_lexer import BadQueryError, duration_ms
from bot.integrations.prometheus.fake_promql import parse, parse_selector
from bot.integrations.prometheus.fake_rules import look, rule_row, rules_for
from bot.integrations.prometheus.fake_series import Labels, Recorded, Source, number
from bot.integrations.prometheus.fake_syntax import MATRIX, SCALAR, VECTOR, Matcher, Node, Selector, kind
from bot.integrations.prometheus.fake_world import ISTIO_BUCKETS, Services, World, ascending
from bot.standin import CallLog, Faults, Guard

VERSION = "2.42.0"
MAX_POINTS = 11_000
MAX_TIMEOUT_S = 120.0

Params = list[tuple[str, str]]


class ApiError(Exception):
    """An answer that is an error; ``kind`` is Prometheus' errorType."""

    def __init__(self, status: int, kind: str, text: str) -> None:
        super().__init__(text)
        self.status, self.kind, self.text = status, kind, text


def _bad(text: str) -> ApiError:
    return ApiError(400, "bad_data", text)


class FakePrometheus:
    """Prometheus 2.42's query API over services whose health can be set.

    ``clock`` gives UNIX seconds; ``scrape_s`` is the grid of the samples; the world has been running for ``history_s``.
    ``buckets`` are the latency histogram's upper edges in ms (``FINE_BUCKETS`` for gates that compare a p95).
    Starts with the services docs-api (called by gateway) and gateway (called by edge), both calm. ``around``: with what
    surrounds them as well (SPIRE, a cache, previews, the monitoring itself).
    """

    name = "prometheus"

    def __init__(
        self,
        calls: CallLog,
        *,
        clock: Callable[[], float] = time.time,
        scrape_s: float = 5.0,
        history_s: float = 7200.0,
        buckets: Sequence[float] = ISTIO_BUCKETS,
        around: bool = False,
    ) -> None:
        if not ascending(buckets):
            raise ValueError("buckets must be upper edges in ascending order")
        self.clock = clock
        self.changed: list[Callable[[], None]] = []
        self.faults = Faults()
        self.recorded = Recorded()
        self.scraped = Recorded()
        self.warnings: list[str] = []
        self._since: dict[str, float] = {}
        began = int((clock() - history_s) * 1000)
        self.services = Services(clock, int(scrape_s * 1000), began, tuple(buckets), VERSION)
        self.around = Surroundings(clock, int(scrape_s * 1000), began) if around else None
        self.services.set("docs-api", began, {})
        self.services.set("gateway", began, {"rps": 80.0, "p95_ms": 120.0, "source": "edge"})
        self.app = Guard(self.name, Starlette(routes=list(self._routes())), self.faults, calls, quiet=("/-/healthy",))

    # What the sandbox and the tests turn.

    def set_world(
        self,
        service: str,
        *,
        errors: float | None = None,
        rps: float | None = None,
        p95_ms: float | None = None,
        tls_failures: float | None = None,
        up: bool | None = None,
        source: str | None = None,
        unanswered: float | None = None,
        plaintext: float | None = None,
        stranger: float | None = None,
        ago: float = 0.0,
    ) -> World:
        """How a service does from ``ago`` seconds before now on; what is not given stays. A new name adds a service.

        errors: ratio 0-1; rps, tls_failures, unanswered, plaintext and stranger: per second (see World); p95_ms:
        milliseconds; up: False stops all its samples but ``up`` itself; source: who calls it. Raises ValueError on
        values that cannot be.
        """
        given = {"errors": errors, "rps": rps, "p95_ms": p95_ms, "tls_failures": tls_failures, "up": up}
        given |= {"unanswered": unanswered, "plaintext": plaintext, "stranger": stranger}
        changes = {name: value for name, value in {**given, "source": source}.items() if value is not None}
        world = self.services.set(service, int((self.clock() - ago) * 1000), changes)
        self._tell()
        return world

    def never(self, service: str, *names: str) -> None:
        """Have rates of a service be none, now and in all that is remembered, as if it had never been."""
        self.services.held[service].always(dict.fromkeys(names, 0.0))
        self._tell()

    def set_around(self, *, ago: float = 0.0, **given: Any) -> Around:
        """How the surroundings do from ``ago`` seconds before now on (fields of Around); what is not given stays.

        Raises ValueError on values that cannot be, and when there are no surroundings.
        """
        if self.around is None:
            raise ValueError("this world has no surroundings")
        around = self.around.set(int((self.clock() - ago) * 1000), given)
        self._tell()
        return around

    def calm_around(self, *names: str) -> None:
        """Have these fields of the surroundings (all without names) be calm, now and in all that is remembered."""
        if self.around is not None:
            self.around.calm(*names)
            self._tell()

    def scrape(self, text: str, *, job: str, instance: str, keep_s: float = 900.0) -> None:
        """Take over what a target exposes now, and ``up``; empty text is a target that does not answer. Not dumped."""
        labels = {"job": job, "instance": instance}
        self.scraped.scrape(text, at_ms=int(self.clock() * 1000), labels=labels, keep_ms=int(keep_s * 1000))

    def world(self, service: str) -> World:
        """How a service does now. KeyError when there is none of that name."""
        return self.services.held[service].now()

    def remove(self, service: str) -> None:
        """Forget a service with all its series."""
        del self.services.held[service]
        self._tell()

    def partial(self, *warnings: str) -> None:
        """From now on every answer carries these warnings, as when a remote store does not answer; none clears them."""
        self.warnings = list(warnings)
        self._tell()

    def ingest(self, text: str, *, at: float | None = None, labels: dict[str, str] | None = None) -> int:
        """Take over samples in exposition format; ``at`` UNIX seconds for lines without a time. Returns how many."""
        stamp = self.clock() if at is None else at
        taken = self.recorded.read(text, at_ms=round(stamp * 1000), extra=labels or {})
        self._tell()
        return taken

    def state(self) -> dict[str, Any]:
        """``{"services": {name: World}, "warnings": [...], "alerts": [...], "recorded_series": n}``, and ``around`` if there is any."""
        services = {name: asdict(service.now()) for name, service in self.services.held.items()}
        return {
            "services": services,
            "warnings": self.warnings,
            "alerts": self._alerts(),
            "recorded_series": len(self.recorded.series),
            **({"around": asdict(self.around.now())} if self.around else {}),
        }

    def dump(self) -> dict[str, Any]:
        recorded = [[[list(pair) for pair in labels], points] for labels, points in self.recorded.series.items()]
        return {
            "began_ms": self.services.began_ms,
            "services": self.services.dump(),
            "warnings": self.warnings,
            "since": self._since,
            "recorded": recorded,
            "around": self.around.dump() if self.around else [],
        }

    def load(self, data: dict[str, Any]) -> None:
        self.services.began_ms = int(data["began_ms"])
        self.services.load(data["services"])
        if self.around is not None:
            self.around.began_ms = self.services.began_ms
            self.around.load(data.get("around", []))
        self.warnings = list(data["warnings"])
        self._since = {str(k): float(v) for k, v in data["since"].items()}
        self.recorded.series = {
            tuple((str(k), str(v)) for k, v in labels): [(int(t), float(v)) for t, v in points]
            for labels, points in data["recorded"]
        }
        self._tell()

    def _tell(self) -> None:
        for hear in list(self.changed):
            hear()

    @property
    def sources(self) -> list[Source]:
        return [self.services, self.recorded, self.scraped, *([self.around] if self.around else [])]

    # The wire.

    def _routes(self) -> Iterator[Route]:
        both = {
            "/query": self._query,
            "/query_range": self._query_range,
            "/labels": self._labels,
            "/series": self._series,
        }
        for path, answer in both.items():
            yield Route(f"/api/v1{path}", self._door(answer), methods=["GET", "POST"])
        once = {
            "/label/{name}/values": self._label_values,
            "/status/buildinfo": self._build,
            "/alerts": lambda _r, _p: {"alerts": self._alerts()},
            "/rules": self._rules,
        }
        for path, ask in once.items():
            yield Route(f"/api/v1{path}", self._door(ask), methods=["GET"])
        for path, text in (("healthy", "Healthy"), ("ready", "Ready")):
            yield Route(f"/-/{path}", _plain(f"Prometheus Server is {text}.\n"), methods=["GET", "HEAD"])

    def _door(self, answer: Callable[[Request, Params], Any]) -> Callable[[Request], Any]:
        """Wrap an answer in Prometheus' envelope; POST parameters come in the body as a form."""

        async def endpoint(request: Request) -> Response:
            params: Params = list(request.query_params.multi_items())
            if request.method == "POST":
                params = [
                    *parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True),
                    *params,
                ]
            try:
                data = await run_in_threadpool(answer, request, params)
            except ApiError as problem:
                body = {"status": "error", "errorType": problem.kind, "error": problem.text}
                return JSONResponse(body, problem.status)
            warnings = {"warnings": self.warnings} if self.warnings else {}
            return JSONResponse({"status": "success", "data": data, **warnings})

        return endpoint

    def _query(self, _request: Request, params: Params) -> dict[str, Any]:
        asked = dict(reversed(params))
        at = _moment(asked["time"], "time") if asked.get("time") else self.clock()
        run, node = self._evaluation(asked, at, at), _parsed(asked.get("query", ""))
        at_ms = run.start
        found = _run(run, node, at_ms)
        stamp = _seconds(at_ms)
        match kind(node):
            case "scalar":
                return {"resultType": "scalar", "result": [stamp, number(found)]}
            case "string":
                return {"resultType": "string", "result": [stamp, found]}
            case "range vector":
                rows = [{"metric": dict(k), "values": [[_seconds(t), number(v)] for t, v in ps]} for k, ps in found]
                return {"resultType": "matrix", "result": sorted(rows, key=_sorting)}
        vector = [{"metric": dict(k), "value": [stamp, number(v)]} for k, v in found]
        return {"resultType": "vector", "result": vector}

    def _query_range(self, _request: Request, params: Params) -> dict[str, Any]:
        asked = dict(reversed(params))
        start, end = _moment(asked.get("start", ""), "start"), _moment(asked.get("end", ""), "end")
        if end < start:
            raise _bad('invalid parameter "end": end timestamp must not be before start time')
        step = _step(asked.get("step", ""))
        if step <= 0:
            raise _bad(
                'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
                "Try a positive integer"
            )
        if (end - start) / step > MAX_POINTS:
            raise _bad(
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )
        run, node = self._evaluation(asked, start, end), _parsed(asked.get("query", ""), "")
        if kind(node) not in (SCALAR, VECTOR):
            what = f'invalid expression type "{kind(node)}" for range query, must be Scalar or instant Vector'
            raise _bad(what)
        rows: dict[Labels, list[list[Any]]] = {}
        for at in range(run.start, run.end + 1, max(1, round(step * 1000))):
            found = _run(run, node, at)
            for labels, value in found if isinstance(found, list) else [((), found)]:
                rows.setdefault(labels, []).append([_seconds(at), number(value)])
        matrix = [{"metric": dict(labels), "values": values} for labels, values in rows.items()]
        return {"resultType": "matrix", "result": sorted(matrix, key=_sorting)}

    def _evaluation(self, asked: dict[str, str], start: float, end: float) -> Evaluation:
        limit = MAX_TIMEOUT_S
        if asked.get("timeout"):
            try:
                limit = min(limit, _span(asked["timeout"]))
            except ValueError as problem:
                raise _bad(f'invalid parameter "timeout": {problem}') from problem
        if limit <= 0:
            raise ApiError(503, "timeout", "query timed out in query queue")
        return Evaluation(self.sources, round(start * 1000), round(end * 1000), time.monotonic() + limit)

    def _selected(self, params: Params, before: str = "") -> Iterator[Labels]:
        """The series of the ``match[]`` parameters (all without any) that have a sample between ``start`` and ``end``."""
        asked = dict(reversed(params))
        start = _moment(asked["start"], "start") if asked.get("start") else 0
        end = _moment(asked["end"], "end") if asked.get("end") else self.clock()
        wanted: list[tuple[Matcher, ...]] = []
        for text in [value for name, value in params if name == "match[]"]:
            try:
                wanted.append(parse_selector(text))
            except BadQueryError as problem:
                raise _bad(before + problem.at(text)) from problem
        seen: set[Labels] = set()
        for matchers in wanted or [()]:
            for source in self.sources:
                for labels, points in source.select(matchers):
                    if labels not in seen and points(int(start * 1000), int(end * 1000)):
                        seen.add(labels)
                        yield labels

    def _labels(self, _request: Request, params: Params) -> list[str]:
        return sorted({name for labels in self._selected(params) for name, _ in labels})

    def _label_values(self, request: Request, params: Params) -> list[str]:
        name = request.path_params["name"]
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise _bad(f'invalid label name: "{name}"')
        return sorted({dict(labels)[name] for labels in self._selected(params) if name in dict(labels)})

    def _series(self, _request: Request, params: Params) -> list[dict[str, str]]:
        if not any(name == "match[]" for name, _ in params):
            raise _bad("no match[] parameter provided")
        return [dict(labels) for labels in sorted(self._selected(params, 'invalid parameter "match[]": '))]

    def _build(self, _request: Request, _params: Params) -> dict[str, str]:
        blank = dict.fromkeys(("revision", "branch", "buildUser", "buildDate", "goVersion"), "")
        return {"version": VERSION, **blank, "branch": "stand-in"}

    def _alerts(self) -> list[dict[str, Any]]:
        now = self.clock()
        rules = rules_for(list(self.services.held))
        return [alert for rule in rules for alert in look(rule, self.sources, now, self._since)]

    def _rules(self, _request: Request, params: Params) -> dict[str, Any]:
        only = dict(params).get("type", "")
        if only not in ("", "alert", "record"):
            raise _bad(f'invalid parameter "type": not supported value "{only}"')
        now, groups = self.clock(), []
        for service in self.services.held if only != "record" else ():
            rows = [rule_row(rule, look(rule, self.sources, now, self._since), now) for rule in rules_for([service])]
            group = {"name": f"slo-{service}", "file": "rules.yml", "rules": rows, "interval": 30, "limit": 0}
            groups.append({**group, "evaluationTime": 0.0004, "lastEvaluation": rows[0]["lastEvaluation"]})
        return {"groups": groups}


def _parsed(text: str, before: str = 'invalid parameter "query": ') -> Node:
    try:
        return parse(text)
    except BadQueryError as problem:
        raise _bad(before + problem.at(text)) from problem


def _run(run: Evaluation, node: Node, at_ms: int) -> Any:
    try:
        return run.matrix(node, at_ms) if isinstance(node, Selector) and kind(node) == MATRIX else run.at(node, at_ms)
    except ExecutionError as problem:
        raise ApiError(422, "execution", str(problem)) from problem
    except QueryTimeoutError as problem:
        raise ApiError(503, "timeout", str(problem)) from problem


def _moment(text: str, name: str) -> float:
    """UNIX seconds or RFC 3339."""
    where = f"Invalid time value for '{name}': " if name == "time" else ""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
        if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*(?:Z|[+-]\d\d:\d\d)$", text):
            found = datetime.fromisoformat(text).timestamp()
    if not math.isfinite(found):
        raise _bad(f'invalid parameter "{name}": {where}cannot parse "{text}" to a valid timestamp')
    return found


def _span(text: str) -> float:
    """Seconds from a number of seconds or a duration such as 1m30s."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return duration_ms(text) / 1000
    except ValueError as problem:
        raise ValueError(f'cannot parse "{text}" to a valid duration') from problem


def _step(text: str) -> float:
    try:
        return _span(text)
    except ValueError as problem:
        raise _bad(f'invalid parameter "step": {problem}') from problem


def _seconds(at_ms: int) -> float | int:
    return at_ms // 1000 if at_ms % 1000 == 0 else at_ms / 1000


def _sorting(row: dict[str, Any]) -> Labels:
    return tuple(sorted(row["metric"].items()))


def _plain(text: str) -> Callable[[Request], Any]:
    async def endpoint(_request: Request) -> Response:
        return PlainTextResponse(text)

    return endpoint

"""Checks one HTTP answer: status, headers, JSON values, text and how long it took, all within one deadline."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError, NameResolutionError

from runbooks.certificates import expiry, trusting
from runbooks.compare import COMPARATORS
from runbooks.kind import Ask, Field, Filling, Kind, Shape
from runbooks.outward import Way
from runbooks.patterns import unfit
from runbooks.verdict import Finding, Outcome

MAX_BODY = 256 * 1024
MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Got:
    """An answer; ``body`` is at most MAX_BODY bytes of it, ``whole`` says whether that is all."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool
    took_ms: float


def look(ask: Ask) -> Finding:
    """FAIL when the answer is wrong or there is none; NO_DATA when a JSON value is not there; INCONCLUSIVE for a 429.

    ERROR (ValueError) when it could not be asked: no such name, a refused address, a body too large to read as JSON.
    """
    with Way(ask) as way:
        try:
            got = _fetch(ask, way)
        except (requests.exceptions.RequestException, HTTPError, OSError) as problem:
            return _no_answer(ask, way, problem)
    days = ask.spec.get("certificate_days")
    if days is not None and (finding := expiry(way.certificates, days)).outcome is not Outcome.PASS:
        return finding
    return _judged(ask, got)


def _no_answer(ask: Ask, way: Way, problem: Exception) -> Finding:
    """What it means that no answer came. Raises ValueError when it was not for the server to give one."""
    if way.over or isinstance(problem, requests.exceptions.Timeout):
        return Finding(Outcome.FAIL, f"no answer within {ask.timeout:g} s", "", f"<= {ask.timeout:g}", "s")
    if isinstance(problem, requests.exceptions.SSLError):
        return Finding(Outcome.FAIL, f"its TLS certificate is not accepted: {_cause(problem)}")
    if isinstance(problem, requests.exceptions.ConnectionError):
        if _caused_by(problem, NameResolutionError):
            raise ValueError(f"the host of {ask.spec['url']} does not resolve") from problem
        return Finding(Outcome.FAIL, f"it does not answer: {_cause(problem)}")
    if isinstance(problem, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
        return Finding(Outcome.FAIL, f"its answer broke off: {_cause(problem)}")
    if not isinstance(problem, requests.exceptions.RequestException):
        return Finding(Outcome.FAIL, f"its answer broke off: {_cause(problem)}")
    raise ValueError(f"{ask.spec['url']} cannot be asked: {problem}") from problem


def _fetch(ask: Ask, way: Way) -> Got:
    """Ask and follow redirects. What we were told to send is not sent on to another host, port or scheme."""
    spec, url = ask.spec, ask.spec["url"]
    method, payload = spec.get("method", "GET"), spec.get("send_body")
    headers = {"User-Agent": "release-captain", "Accept": "*/*"}
    sent = {name: ask.secrets.resolve(value) for name, value in spec.get("send_headers", {}).items()}
    if "ca" in spec:
        trusting(spec["ca"])  # Says what is wrong with the file, where requests would blame the server.
    began = time.monotonic()
    with way.session() as session:
        for _ in range(int(spec.get("redirects", MAX_REDIRECTS)) + 1):
            if way.over:
                raise requests.exceptions.ReadTimeout
            data = payload.encode() if payload is not None and method == "POST" else None
            with session.request(
                method,
                url,
                headers={**headers, **sent},
                data=data,
                timeout=way.left,
                stream=True,
                allow_redirects=False,
                verify=spec.get("ca"),
            ) as answer:
                target = answer.headers.get("location", "")
                if answer.status_code not in _REDIRECTS or not target or spec.get("redirects") == 0:
                    body, whole = _read(answer, way)
                    return Got(answer.status_code, answer.headers, body, whole, (time.monotonic() - began) * 1000)
                method = "GET" if answer.status_code == 303 and method != "HEAD" else method
                onward = urljoin(url, target)
                if urlsplit(onward)[:2] != urlsplit(url)[:2]:
                    sent, payload = {}, None
                url = onward
    raise requests.exceptions.ConnectionError("it redirects without end")


def _read(answer: requests.Response, way: Way) -> tuple[bytes, bool]:
    parts: list[bytes] = []
    size = 0
    while part := answer.raw.read1(65_536, decode_content=True):
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            return b"".join(parts)[:MAX_BODY], False
        if way.over:
            raise requests.exceptions.ReadTimeout
    if way.over:  # A connection that was cut off ends a body that has no length.
        raise requests.exceptions.ReadTimeout
    return b"".join(parts), True


def _judged(ask: Ask, got: Got) -> Finding:
    spec, mask = ask.spec, ask.secrets.mask
    wanted = spec.get("status")
    right = got.status in wanted if wanted else 200 <= got.status < 300
    threshold = f"status {', '.join(map(str, wanted))}" if wanted else "status 2xx"
    if not right:
        outcome = Outcome.INCONCLUSIVE if got.status == 429 else Outcome.FAIL
        return Finding(outcome, f"it answered {got.status}: {_start(got.body, mask)}", str(got.status), threshold)
    for name, pattern in spec.get("header", {}).items():
        value = got.headers.get(name)
        if value is None or not re.search(pattern, value):
            told = f"the header {name} is {'missing' if value is None else repr(value)}"
            return Finding(Outcome.FAIL, told, value or "", f"{name} ~ {pattern}")
    text = got.body.decode("utf-8", "replace")
    if "body" in spec and not re.search(spec["body"], text):
        return Finding(Outcome.FAIL, f"the body does not match: {_start(got.body, mask)}", "", f"body ~ {spec['body']}")
    if "json" in spec and (finding := _json(spec["json"], got, text, mask)):
        return finding
    took, most = f"{got.took_ms:.0f}", spec.get("max_latency_ms")
    if most is not None:
        late = got.took_ms > most
        told = f"it answered {got.status} in {took} ms"
        return Finding(Outcome.FAIL if late else Outcome.PASS, told, took, f"<= {most:g}", "ms")
    return Finding(Outcome.PASS, f"it answered {got.status} in {took} ms", str(got.status), threshold)


def _json(wanted: Mapping[str, Any], got: Got, text: str, mask: Callable[[str], str]) -> Finding | None:
    if not got.whole:
        raise ValueError(f"the answer is larger than {MAX_BODY // 1024} kB, too large to read as JSON")
    try:
        found = json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return Finding(Outcome.FAIL, f"the body is not JSON: {_start(got.body, mask)}")
    for path, value in wanted.items():
        there, held = _pick(found, path)
        for threshold, holds in _wants(value):
            told = f"{path} {threshold}"
            if threshold == "is not there":
                if there:
                    return Finding(Outcome.FAIL, f"the answer has {path}", "", told)
            elif not there:
                return Finding(Outcome.NO_DATA, f"the answer has no {path}", "", told)
            elif not holds(held):
                shown = mask(json.dumps(held, ensure_ascii=False))[:200]
                return Finding(Outcome.FAIL, f"{path} is {shown}", shown, told)
    return None


def _no_json(name: str) -> NoReturn:
    """NaN and Infinity, which Python reads: JSON has none, and every comparison with them says something wrong."""
    raise ValueError(name)


def _wants(value: Any) -> Iterator[tuple[str, Callable[[Any], bool]]]:
    """What is wanted of a JSON value, in words and as a test. Raises ValueError for what no value can be compared with."""
    if not isinstance(value, dict) or not value or not value.keys() <= {*COMPARATORS, "matches", "exists"}:
        yield f"== {json.dumps(value, ensure_ascii=False)}", partial(_same, value)
        return
    for name, bound in value.items():
        if name == "exists":
            if not isinstance(bound, bool):
                raise ValueError("exists: is true or false, without quotes")
            yield ("is there" if bound else "is not there"), _anything
        elif name == "matches":
            if not isinstance(bound, str):
                raise ValueError("matches: is a text")
            yield f"~ {bound}", partial(_matches, bound)
        elif name in ("==", "!="):
            wanted = name == "=="
            yield f"{name} {json.dumps(bound, ensure_ascii=False)}", partial(_same_or_not, bound, wanted)
        else:
            limit = float(bound)
            if not math.isfinite(limit):
                raise ValueError(f"{name} needs a finite number")
            yield f"{name} {limit:g}", partial(_compares, COMPARATORS[name], limit)


def _anything(_held: Any) -> bool:
    return True


def _same(value: Any, held: Any) -> bool:
    # True == 1 in Python, but not in JSON.
    alike = isinstance(held, bool) == isinstance(value, bool)
    return (bool(held == value) and alike) or (isinstance(value, str) and json.dumps(held) == value)


def _same_or_not(value: Any, wanted: bool, held: Any) -> bool:
    return _same(value, held) is wanted


def _matches(pattern: str, held: Any) -> bool:
    return re.search(pattern, held if isinstance(held, str) else json.dumps(held, ensure_ascii=False)) is not None


def _compares(compare: Callable[[float, float], bool], bound: float, held: Any) -> bool:
    # 1e999 is JSON, and infinite by the time it is read: more than any bound, and no measure of anything.
    number = isinstance(held, int | float) and not isinstance(held, bool) and held not in (math.inf, -math.inf)
    return number and compare(held, bound)


def _pick(found: Any, path: str) -> tuple[bool, Any]:
    """Whether there is a value at a dotted path (numbers pick from lists), and the value."""
    for step in path.split("."):
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return False, None
    return True, found


def _start(body: bytes, mask: Callable[[str], str]) -> str:
    # Masked before it is cut: half a secret would not be known for one.
    text = " ".join(mask(body.decode("utf-8", "replace")).split())
    return text[:160] or "an empty body"


def _caused_by(problem: BaseException, kind: type[BaseException]) -> bool:
    seen: BaseException | None = problem
    while seen is not None:
        if isinstance(seen, kind):
            return True
        seen = seen.__context__
    return False


def _cause(problem: BaseException) -> str:
    while problem.__context__ is not None:
        problem = problem.__context__
    return (getattr(problem, "strerror", None) or str(problem) or type(problem).__name__)[:200]


def _judge(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not spec["url"].startswith(("http://", "https://")):
        yield "url", f"url must start with http:// or https://, not {spec['url']!r}"
    patterns = {f"header {k}": v for k, v in spec.get("header", {}).items()}
    for path, value in spec.get("json", {}).items():
        try:
            list(_wants(value))
        except (TypeError, ValueError, OverflowError) as problem:
            yield "json", f"json {path} cannot be compared: {problem}"
        if isinstance(value, dict) and isinstance(value.get("matches"), str):
            patterns[f"json {path}"] = value["matches"]
    if "body" in spec:
        patterns["body"] = spec["body"]
    for name, pattern in patterns.items():
        if why := unfit(pattern):
            yield name.split()[0], f"{name} {why}"
    if not 0 <= spec.get("redirects", 0) <= MAX_REDIRECTS:
        yield "redirects", f"redirects must be from 0 to {MAX_REDIRECTS}"
    if "send_body" in spec and spec.get("method") != "POST":
        yield "send_body", "send_body: needs method: POST"
    for name in ("certificate_days", "ca"):
        if name in spec and not spec["url"].startswith("https://"):
            yield name, f"{name}: needs an address that starts with https://"


def _asks(spec: Mapping[str, Any]) -> str:
    return f"{spec.get('method', 'GET')} {spec['url']}"


KIND = Kind(
    fields={
        "url": Field(Shape.TEXT, required=True, filling=Filling.URL, about="http:// or https:// address to ask"),
        "method": Field(
            Shape.TEXT, choices=("GET", "HEAD", "POST", "OPTIONS"), about="how it is asked; GET by default"
        ),
        "send_headers": Field(
            Shape.TEXTS, secret=True, about="headers to send; dropped when a redirect leaves host, port or scheme"
        ),
        "send_body": Field(Shape.TEXT, about="text to send with a POST; must be one that changes nothing"),
        "redirects": Field(
            Shape.NUMBER, about=f"redirects to follow, 0 to {MAX_REDIRECTS} ({MAX_REDIRECTS} by default)"
        ),
        "status": Field(Shape.STATUSES, about="the statuses that are right; any 2xx by default"),
        "header": Field(
            Shape.TEXTS,
            filling=Filling.PATTERN,
            about="headers the answer must have, each matching a regular expression",
        ),
        "json": Field(
            Shape.VALUES,
            filling=Filling.WANTED,
            about="dotted paths into the JSON answer (numbers pick from lists) and the value each must have, or a "
            "comparison such as {'>=': 3}, {matches: '^v1'}, {exists: false}",
        ),
        "body": Field(
            Shape.TEXT,
            filling=Filling.PATTERN,
            about=f"regular expression found in the first {MAX_BODY // 1024} kB of the body",
        ),
        "max_latency_ms": Field(Shape.NUMBER, about="milliseconds the whole answer may take, redirects included"),
        "certificate_days": Field(Shape.NUMBER, about="days for which the TLS certificate must still be valid"),
        "ca": Field(Shape.TEXT, about="file of the certificate authorities to trust instead of the public ones (PEM)"),
    },
    look=look,
    judge=_judge,
    keeps_time=True,
    asks=_asks,
)

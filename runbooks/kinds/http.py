"""Checks one HTTP answer: status, headers, JSON values, text and how long it took, all within one deadline."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, NameResolutionError
from urllib3.util.retry import Retry as NoRetry

from runbooks.kind import Ask, Field, Filling, Kind, Shape
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

    ERROR (ValueError) when it could not be asked: no such name, no such address, a body too large to read as JSON.
    """
    try:
        got = _fetch(ask)
    except requests.exceptions.Timeout:
        return Finding(Outcome.FAIL, f"no answer within {ask.timeout:g} s", "", f"<= {ask.timeout:g}", "s")
    except requests.exceptions.SSLError as problem:
        return Finding(Outcome.FAIL, f"its TLS certificate is not accepted: {_cause(problem)}")
    except requests.exceptions.ConnectionError as problem:
        if _caused_by(problem, NameResolutionError):
            raise ValueError(f"the host of {ask.spec['url']} does not resolve") from problem
        return Finding(Outcome.FAIL, f"it does not answer: {_cause(problem)}")
    except requests.exceptions.RequestException as problem:
        raise ValueError(f"{ask.spec['url']} cannot be asked: {problem}") from problem
    except (HTTPError, OSError) as problem:
        return Finding(Outcome.FAIL, f"its answer broke off: {_cause(problem)}")
    return _judged(ask.spec, got)


def _fetch(ask: Ask) -> Got:
    """Ask and follow redirects. Headers we were told to send are not sent on to another host."""
    spec, url = ask.spec, ask.spec["url"]
    method, payload = spec.get("method", "GET"), spec.get("send_body")
    headers = {"User-Agent": "release-captain", "Accept": "*/*"}
    sent = {name: ask.secrets.resolve(value) for name, value in spec.get("send_headers", {}).items()}
    began = time.monotonic()
    deadline = began + ask.timeout
    with requests.Session() as session:
        session.auth = _unchanged  # or a .netrc of the machine would add its own
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=NoRetry(total=0, read=False)))
        for _ in range(int(spec.get("redirects", MAX_REDIRECTS)) + 1):
            left = deadline - time.monotonic()
            if left <= 0:
                raise requests.exceptions.ReadTimeout
            data = payload.encode() if payload is not None and method == "POST" else None
            with session.request(
                method, url, headers={**headers, **sent}, data=data, timeout=left, stream=True, allow_redirects=False
            ) as answer:
                target = answer.headers.get("location", "")
                if answer.status_code not in _REDIRECTS or not target or spec.get("redirects") == 0:
                    body, whole = _read(answer, deadline)
                    return Got(answer.status_code, answer.headers, body, whole, (time.monotonic() - began) * 1000)
                method = "GET" if answer.status_code == 303 and method != "HEAD" else method
                onward = urljoin(url, target)
                sent = sent if urlsplit(onward)[:2] == urlsplit(url)[:2] else {}
                url = onward
    raise requests.exceptions.ConnectionError("it redirects without end")


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _read(answer: requests.Response, deadline: float) -> tuple[bytes, bool]:
    parts: list[bytes] = []
    size = 0
    while part := answer.raw.read1(65_536, decode_content=True):
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            return b"".join(parts)[:MAX_BODY], False
        if time.monotonic() > deadline:
            raise requests.exceptions.ReadTimeout
    return b"".join(parts), True


def _judged(spec: Mapping[str, Any], got: Got) -> Finding:
    wanted = spec.get("status")
    right = got.status in wanted if wanted else 200 <= got.status < 300
    threshold = f"status {', '.join(map(str, wanted))}" if wanted else "status 2xx"
    if not right:
        outcome = Outcome.INCONCLUSIVE if got.status == 429 else Outcome.FAIL
        return Finding(outcome, f"it answered {got.status}: {_start(got.body)}", str(got.status), threshold)
    for name, pattern in spec.get("header", {}).items():
        value = got.headers.get(name)
        if value is None or not re.search(pattern, value):
            told = f"the header {name} is {'missing' if value is None else repr(value)}"
            return Finding(Outcome.FAIL, told, value or "", f"{name} ~ {pattern}")
    text = got.body.decode("utf-8", "replace")
    if "body" in spec and not re.search(spec["body"], text):
        return Finding(Outcome.FAIL, f"the body does not match: {_start(got.body)}", "", f"body ~ {spec['body']}")
    if "json" in spec and (finding := _json(spec["json"], got, text)):
        return finding
    took, most = f"{got.took_ms:.0f}", spec.get("max_latency_ms")
    if most is not None:
        late = got.took_ms > most
        told = f"it answered {got.status} in {took} ms"
        return Finding(Outcome.FAIL if late else Outcome.PASS, told, took, f"<= {most:g}", "ms")
    return Finding(Outcome.PASS, f"it answered {got.status} in {took} ms", str(got.status), threshold)


def _json(wanted: Mapping[str, Any], got: Got, text: str) -> Finding | None:
    if not got.whole:
        raise ValueError(f"the answer is larger than {MAX_BODY // 1024} kB, too large to read as JSON")
    try:
        found = json.loads(text)
    except ValueError:
        return Finding(Outcome.FAIL, f"the body is not JSON: {_start(got.body)}")
    for path, value in wanted.items():
        there, held = _pick(found, path)
        threshold = f"{path} == {json.dumps(value, ensure_ascii=False)}"
        if not there:
            return Finding(Outcome.NO_DATA, f"the answer has no {path}", "", threshold)
        if held != value and not (isinstance(value, str) and json.dumps(held) == value):
            shown = json.dumps(held, ensure_ascii=False)[:200]
            return Finding(Outcome.FAIL, f"{path} is {shown}", shown, threshold)
    return None


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


def _start(body: bytes) -> str:
    text = " ".join(body[:400].decode("utf-8", "replace").split())
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
    patterns = {**{f"header {k}": v for k, v in spec.get("header", {}).items()}}
    if "body" in spec:
        patterns["body"] = spec["body"]
    for name, pattern in patterns.items():
        try:
            re.compile(pattern)
        except re.error as problem:
            yield name.split()[0], f"{name} is not a regular expression: {problem}"
    if not 0 <= spec.get("redirects", 0) <= MAX_REDIRECTS:
        yield "redirects", f"redirects must be from 0 to {MAX_REDIRECTS}"
    if "send_body" in spec and spec.get("method") != "POST":
        yield "send_body", "send_body: needs method: POST"


KIND = Kind(
    fields={
        "url": Field(Shape.TEXT, required=True, filling=Filling.URL),
        "method": Field(Shape.TEXT, choices=("GET", "HEAD", "POST", "OPTIONS")),
        "send_headers": Field(Shape.TEXTS, secret=True),
        "send_body": Field(Shape.TEXT),
        "redirects": Field(Shape.NUMBER),
        "status": Field(Shape.STATUSES),
        "header": Field(Shape.TEXTS),
        "json": Field(Shape.VALUES),
        "body": Field(Shape.TEXT),
        "max_latency_ms": Field(Shape.NUMBER),
    },
    look=look,
    judge=_judge,
    keeps_time=True,
)

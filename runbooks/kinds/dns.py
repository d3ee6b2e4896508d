"""Checks the records of a name as a DNS resolver tells them."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dns.exception import DNSException, Timeout
from dns.name import from_text
from dns.rdata import Rdata
from dns.resolver import NXDOMAIN, NoAnswer, NoNameservers, NoResolverConfiguration, Resolver

from runbooks.kind import Ask, Field, Kind, Shape
from runbooks.outward import judged
from runbooks.verdict import Finding, Outcome

TYPES = ("A", "AAAA", "CNAME", "TXT", "SRV", "MX", "NS", "PTR", "CAA", "SOA")
PORT = 53


def look(ask: Ask) -> Finding:
    """FAIL when the records are not there or not those; ERROR when the resolver does not answer or answers with an error."""
    spec = ask.spec
    host, kind = spec["host"], spec.get("type", "A")
    resolver = _resolver(ask)
    absent = spec.get("absent", False)
    try:
        answer = resolver.resolve(from_text(host), kind, lifetime=ask.timeout, search=False)
    except (NXDOMAIN, NoAnswer) as nothing:
        why = "does not exist" if isinstance(nothing, NXDOMAIN) else f"has no {kind} record"
        outcome = Outcome.PASS if absent else Outcome.FAIL
        return Finding(outcome, f"{host} {why}", "0", "0" if absent else _threshold(spec), "records", 0)
    except Timeout as problem:
        raise ValueError(f"{_named(spec)} did not answer within {ask.timeout:g} s") from problem
    except NoNameservers as problem:
        said = {str(error[3]) or type(error[3]).__name__ for error in problem.kwargs.get("errors", ())}
        raise ValueError(f"{_named(spec)} cannot tell: {', '.join(sorted(said)) or 'no usable answer'}") from problem
    except (DNSException, OSError) as problem:
        raise ValueError(f"{_named(spec)} cannot be asked: {problem}") from problem
    found = sorted(_text(record) for record in answer)
    if absent:
        return Finding(Outcome.FAIL, f"{host} has {kind} {_list(found)}", str(len(found)), "0", "records", len(found))
    return _judged(spec, host, kind, found)


def _resolver(ask: Ask) -> Resolver:
    """The system's resolvers, or the one that is named, at a judged address."""
    given = ask.spec.get("resolver")
    try:
        resolver = Resolver(configure=given is None)
    except NoResolverConfiguration as problem:
        raise ValueError("this machine names no DNS resolver; give resolver:") from problem
    # Half of the time for one try, so that a lost packet is asked for again.
    resolver.timeout = ask.timeout / 2
    if given is not None:
        host, port = _place(given)
        try:
            addresses = judged(host, port, ask.looks.allow)
        except socket.gaierror as problem:
            raise ValueError(f"the resolver {host} does not resolve: {problem.strerror}") from problem
        resolver.nameservers = [str(address[0]) for _, address in addresses]
        resolver.port = port
    return resolver


def _place(given: str) -> tuple[str, int]:
    """Host and port of ``1.1.1.1``, ``1.1.1.1:5353``, ``[::1]:53``, ``::1`` or ``dns.example``. Raises ValueError."""
    host, port = given, str(PORT)
    if given.startswith("["):
        host, _, rest = given[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif given.count(":") == 1:
        host, _, port = given.partition(":")
    if not host or not port.isdigit() or not 1 <= int(port) <= 65_535:
        raise ValueError(f"must be an address or address:port, not {given!r}")
    return host, int(port)


def _named(spec: Mapping[str, Any]) -> str:
    return f"the resolver {spec['resolver']}" if "resolver" in spec else "the system's resolver"


def _text(record: Rdata) -> str:
    """A record as people write it: names without the dot at their end, the parts of a text put together."""
    strings = getattr(record, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("utf-8", "replace")
    return " ".join(word.rstrip(".") or word for word in record.to_text().split(" "))


def _list(found: Sequence[str]) -> str:
    return ", ".join(found[:10]) + (f" and {len(found) - 10} more" if len(found) > 10 else "")


def _threshold(spec: Mapping[str, Any]) -> str:
    if "values" in spec:
        return ("exactly " if spec.get("exactly") else "") + _list(spec["values"])
    return f">= {spec.get('at_least', 1):g}"


def _judged(spec: Mapping[str, Any], host: str, kind: str, found: Sequence[str]) -> Finding:
    threshold, told = _threshold(spec), f"{host} has {kind} {_list(found)}"
    if len(found) < spec.get("at_least", 1):
        return Finding(Outcome.FAIL, told, str(len(found)), f">= {spec['at_least']:g}", "records", len(found))
    if "values" not in spec:
        return Finding(Outcome.PASS, told, str(len(found)), threshold, "records", len(found))
    seen, wanted = {_alike(kind, one): one for one in found}, {_alike(kind, one): one for one in spec["values"]}
    wrong = [f"not {one}" for key, one in wanted.items() if key not in seen]
    if spec.get("exactly"):
        wrong += [f"{one} besides" for key, one in seen.items() if key not in wanted]
    told += f": {', '.join(wrong)}" if wrong else ""
    return Finding(Outcome.FAIL if wrong else Outcome.PASS, told, _list(found), threshold, "", len(found))


def _alike(kind: str, text: str) -> str:
    if kind == "TXT":
        return text
    return " ".join(word.rstrip(".") for word in text.lower().split())


def _judge(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        from_text(spec["host"])
    except DNSException as problem:
        yield "host", f"host is not a name: {problem}"
    try:
        _place(spec.get("resolver", "127.0.0.1"))
    except ValueError as problem:
        yield "resolver", f"resolver: {problem}"
    if spec.get("exactly") and "values" not in spec:
        yield "exactly", "exactly: needs values: beside it"
    if spec.get("absent") and ("values" in spec or "at_least" in spec):
        yield "absent", "absent: stands alone, without values: and at_least:"


def _asks(spec: Mapping[str, Any]) -> str:
    return f"{spec.get('type', 'A')} {spec['host']}" + (f" @{spec['resolver']}" if "resolver" in spec else "")


KIND = Kind(
    fields={
        "host": Field(Shape.TEXT, required=True, about="the whole name to ask for; no search domain is added"),
        "type": Field(Shape.TEXT, choices=TYPES, about="the type of the records; A by default"),
        "values": Field(
            Shape.LIST, about="records that must be among those told, such as '10 5 443 a.example' for an SRV"
        ),
        "exactly": Field(Shape.FLAG, about="true: there must be no records besides values:"),
        "at_least": Field(Shape.NUMBER, about="how many records there must be; 1 by default"),
        "absent": Field(Shape.FLAG, about="true: there must be no such record"),
        "resolver": Field(Shape.TEXT, about="address or address:port of the resolver to ask; the system's by default"),
    },
    look=look,
    judge=_judge,
    keeps_time=True,
    asks=_asks,
)

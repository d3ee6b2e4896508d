"""Checks what a server shows in a TLS handshake: a chain that is trusted, the names, the issuer, the days that are left."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from runbooks.certificates import expiry, names, party, trusting
from runbooks.kind import Ask, Field, Filling, Kind, Shape
from runbooks.kinds.tcp import judge_port
from runbooks.outward import Way
from runbooks.patterns import unfit
from runbooks.verdict import Finding, Outcome

PORT = 443
VERSIONS = ("1.2", "1.3")


def look(ask: Ask) -> Finding:
    """FAIL when the handshake or what it shows is not as it should be; ERROR when the host or the file of ca: is not there."""
    spec = ask.spec
    host, port = spec["host"], int(spec.get("port", PORT))
    where = f"{host}:{port}"
    context = trusting(spec.get("ca", ""))
    with Way(ask) as way:
        try:
            with way.connect(host, port) as plain:
                plain.settimeout(way.left)
                with context.wrap_socket(plain, server_hostname=spec.get("server_name", host)) as secure:
                    certificate, version = secure.getpeercert() or {}, secure.version() or ""
        except socket.gaierror as problem:
            raise ValueError(f"{host} does not resolve: {problem.strerror}") from problem
        except OSError as problem:
            if way.over or isinstance(problem, TimeoutError):
                return Finding(Outcome.FAIL, f"{where} did not finish a handshake within {ask.timeout:g} s")
            return Finding(Outcome.FAIL, _refused(where, problem))
    return _judged(spec, where, certificate, version)


def _refused(where: str, problem: OSError) -> str:
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"the certificate of {where} is not accepted: {problem.verify_message}"
    if isinstance(problem, ssl.SSLError):
        return f"{where} does not finish a TLS handshake: {(problem.reason or str(problem)).replace('_', ' ').lower()}"
    return f"{where} does not finish a TLS handshake: {problem.strerror or problem or type(problem).__name__}"


def _judged(spec: Mapping[str, Any], where: str, certificate: Mapping[str, Any], version: str) -> Finding:
    spoken = version.removeprefix("TLSv")
    if spoken < spec.get("min_version", VERSIONS[0]):
        return Finding(Outcome.FAIL, f"{where} speaks TLS {spoken}", spoken, f">= {spec['min_version']}", "TLS")
    has = names(certificate)
    lowered = {name.lower() for name in has}
    missing = [name for name in spec.get("names", ()) if name.lower() not in lowered]
    shown = ", ".join(has[:10]) + (f" and {len(has) - 10} more" if len(has) > 10 else "")
    if missing:
        told = f"the certificate of {where} is not for {', '.join(missing)}; it is for {shown}"
        return Finding(Outcome.FAIL, told, shown, ", ".join(spec["names"]))
    issuer = party(certificate, "issuer")
    if "issuer" in spec and not re.search(spec["issuer"], issuer):
        return Finding(
            Outcome.FAIL, f"the certificate of {where} is from {issuer}", issuer, f"issuer ~ {spec['issuer']}"
        )
    if "certificate_days" in spec:
        return expiry([certificate], spec["certificate_days"])
    ends = expiry([certificate], 0).detail
    return Finding(Outcome.PASS, f"{where} speaks TLS {spoken}, for {shown}, from {issuer}; {ends}", spoken, "", "TLS")


def _judge(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from judge_port(spec)
    if "issuer" in spec and (why := unfit(spec["issuer"])):
        yield "issuer", f"issuer {why}"


def _asks(spec: Mapping[str, Any]) -> str:
    return f"{spec['host']}:{spec.get('port', PORT):g}" + (
        f" as {spec['server_name']}" if "server_name" in spec else ""
    )


KIND = Kind(
    fields={
        "host": Field(Shape.TEXT, required=True, about="name or address to connect to"),
        "port": Field(Shape.NUMBER, about=f"1 to 65535; {PORT} by default"),
        "server_name": Field(
            Shape.TEXT, about="the name asked for (SNI) and looked for in the certificate; host by default"
        ),
        "ca": Field(Shape.TEXT, about="file of the certificate authorities to trust instead of the system's (PEM)"),
        "certificate_days": Field(Shape.NUMBER, about="days for which the certificate must still be valid"),
        "names": Field(Shape.LIST, about="names, addresses or SPIFFE IDs the certificate must be for"),
        "issuer": Field(
            Shape.TEXT,
            filling=Filling.PATTERN,
            about="regular expression found in the issuer, such as commonName=R11",
        ),
        "min_version": Field(Shape.TEXT, choices=VERSIONS, about="oldest TLS version the server may agree on"),
    },
    look=look,
    judge=_judge,
    keeps_time=True,
    asks=_asks,
)
